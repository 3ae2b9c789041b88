-- columns
WITH "dub_source" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "dub_query"
)
SELECT
  *
FROM "dub_source"
WHERE
  1 = 0;

-- counts
WITH "dub_source" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "dub_query"
), "dub_keyed" AS (
  SELECT
    "dub_source"."user_id" AS "raw_0",
    "dub_source"."mail" AS "raw_1",
    "dub_source"."name" AS "raw_2",
    CASE
      WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
      THEN NULL
      ELSE CAST("dub_source"."user_id" AS TEXT)
    END AS "customer_key",
    CAST("dub_source"."mail" AS TEXT) AS "email",
    CAST("dub_source"."name" AS TEXT) AS "name",
    CAST(NULL AS TEXT) AS "avatar",
    CAST(NULL AS TEXT) AS "external_id",
    CAST(NULL AS TEXT) AS "stripe_customer_id",
    CAST(NULL AS TEXT) AS "country",
    CAST(NULL AS TEXT) AS "subscription_canceled_at",
    CASE WHEN CAST("dub_source"."name" AS TEXT) IS NULL THEN 'name ' ELSE '' END || '' AS "cleared",
    COUNT(*) OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
        THEN NULL
        ELSE CAST("dub_source"."user_id" AS TEXT)
      END COLLATE "C"
    ) AS "copies",
    ROW_NUMBER() OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
        THEN NULL
        ELSE CAST("dub_source"."user_id" AS TEXT)
      END COLLATE "C"
      ORDER BY "dub_source"."updated_at" DESC NULLS LAST, CAST("dub_source"."mail" AS TEXT) COLLATE "C" DESC NULLS LAST, CAST("dub_source"."name" AS TEXT) COLLATE "C" DESC NULLS LAST
    ) AS "place"
  FROM "dub_source"
), "dub_classified" AS (
  SELECT
    "dub_keyed".*,
    CASE
      WHEN "dub_keyed"."customer_key" IS NULL
      THEN 'no_key'
      WHEN "dub_keyed"."place" > 1
      THEN 'superseded'
      WHEN "dub_state"."customer_key" IS NULL
      THEN 'new'
      WHEN "dub_state"."outcome" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
          OR (
            "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
          )
        )
        AND (
          "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
          OR (
            "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
          )
        )
        AND (
          "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
          OR (
            "dub_state"."stripe_customer_id" IS NULL
            AND "dub_keyed"."stripe_customer_id" IS NULL
          )
        )
        AND (
          "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
          OR (
            "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
          )
        )
        AND (
          "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
          OR (
            "dub_state"."subscription_canceled_at" IS NULL
            AND "dub_keyed"."subscription_canceled_at" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
          OR (
            "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "dub_state"."outcome" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "dub_state"."outcome" = 'missing'
      AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "dub_state"."outcome" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "status",
    CASE
      WHEN (
        (
          "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
          AND "dub_state"."message" IS NULL
        )
        AND (
          NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
        )
      )
      OR (
        "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
      )
      THEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END || CASE
        WHEN (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END || ''
      ELSE ''
    END AS "same_fields",
    "dub_state"."first_applied_at",
    "dub_state"."last_applied_at",
    "dub_state"."dub_id",
    "dub_state"."outcome",
    "dub_state"."code",
    "dub_state"."message",
    "dub_state"."run"
  FROM "dub_keyed"
  LEFT JOIN "analytics"."dub_state" AS "dub_state"
    ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
)
SELECT
  "status",
  COUNT(*) AS "rows_of_it",
  COUNT("dub_id") AS "with_dub_id",
  0 AS "surplus"
FROM "dub_classified"
GROUP BY
  "status";

-- rows
WITH "dub_source" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "dub_query"
), "dub_keyed" AS (
  SELECT
    "dub_source"."user_id" AS "raw_0",
    "dub_source"."mail" AS "raw_1",
    "dub_source"."name" AS "raw_2",
    CASE
      WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
      THEN NULL
      ELSE CAST("dub_source"."user_id" AS TEXT)
    END AS "customer_key",
    CAST("dub_source"."mail" AS TEXT) AS "email",
    CAST("dub_source"."name" AS TEXT) AS "name",
    CAST(NULL AS TEXT) AS "avatar",
    CAST(NULL AS TEXT) AS "external_id",
    CAST(NULL AS TEXT) AS "stripe_customer_id",
    CAST(NULL AS TEXT) AS "country",
    CAST(NULL AS TEXT) AS "subscription_canceled_at",
    CASE WHEN CAST("dub_source"."name" AS TEXT) IS NULL THEN 'name ' ELSE '' END || '' AS "cleared",
    COUNT(*) OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
        THEN NULL
        ELSE CAST("dub_source"."user_id" AS TEXT)
      END COLLATE "C"
    ) AS "copies",
    ROW_NUMBER() OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
        THEN NULL
        ELSE CAST("dub_source"."user_id" AS TEXT)
      END COLLATE "C"
      ORDER BY "dub_source"."updated_at" DESC NULLS LAST, CAST("dub_source"."mail" AS TEXT) COLLATE "C" DESC NULLS LAST, CAST("dub_source"."name" AS TEXT) COLLATE "C" DESC NULLS LAST
    ) AS "place"
  FROM "dub_source"
), "dub_classified" AS (
  SELECT
    "dub_keyed".*,
    CASE
      WHEN "dub_keyed"."customer_key" IS NULL
      THEN 'no_key'
      WHEN "dub_keyed"."place" > 1
      THEN 'superseded'
      WHEN "dub_state"."customer_key" IS NULL
      THEN 'new'
      WHEN "dub_state"."outcome" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
          OR (
            "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
          )
        )
        AND (
          "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
          OR (
            "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
          )
        )
        AND (
          "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
          OR (
            "dub_state"."stripe_customer_id" IS NULL
            AND "dub_keyed"."stripe_customer_id" IS NULL
          )
        )
        AND (
          "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
          OR (
            "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
          )
        )
        AND (
          "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
          OR (
            "dub_state"."subscription_canceled_at" IS NULL
            AND "dub_keyed"."subscription_canceled_at" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
          OR (
            "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "dub_state"."outcome" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "dub_state"."outcome" = 'missing'
      AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "dub_state"."outcome" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "status",
    CASE
      WHEN (
        (
          "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
          AND "dub_state"."message" IS NULL
        )
        AND (
          NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
        )
      )
      OR (
        "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
      )
      THEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END || CASE
        WHEN (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END || ''
      ELSE ''
    END AS "same_fields",
    "dub_state"."first_applied_at",
    "dub_state"."last_applied_at",
    "dub_state"."dub_id",
    "dub_state"."outcome",
    "dub_state"."code",
    "dub_state"."message",
    "dub_state"."run"
  FROM "dub_keyed"
  LEFT JOIN "analytics"."dub_state" AS "dub_state"
    ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
)
SELECT
  "raw_0" AS "cell_0",
  "raw_1" AS "cell_1",
  "raw_2" AS "cell_2",
  "status",
  "copies",
  TO_CHAR("first_applied_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "first_applied_at",
  TO_CHAR("last_applied_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "last_applied_at",
  "dub_id",
  "same_fields",
  "customer_key",
  "email",
  "name",
  CAST(NULL AS TEXT) AS "avatar",
  CAST(NULL AS TEXT) AS "external_id",
  CAST(NULL AS TEXT) AS "stripe_customer_id",
  CAST(NULL AS TEXT) AS "country",
  CAST(NULL AS TEXT) AS "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "run"
FROM "dub_classified"
WHERE
  "status" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- rows without a state table
WITH "dub_source" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "dub_query"
), "dub_keyed" AS (
  SELECT
    "dub_source"."user_id" AS "raw_0",
    "dub_source"."mail" AS "raw_1",
    "dub_source"."name" AS "raw_2",
    CASE
      WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
      THEN NULL
      ELSE CAST("dub_source"."user_id" AS TEXT)
    END AS "customer_key",
    CAST("dub_source"."mail" AS TEXT) AS "email",
    CAST("dub_source"."name" AS TEXT) AS "name",
    CAST(NULL AS TEXT) AS "avatar",
    CAST(NULL AS TEXT) AS "external_id",
    CAST(NULL AS TEXT) AS "stripe_customer_id",
    CAST(NULL AS TEXT) AS "country",
    CAST(NULL AS TEXT) AS "subscription_canceled_at",
    CASE WHEN CAST("dub_source"."name" AS TEXT) IS NULL THEN 'name ' ELSE '' END || '' AS "cleared",
    COUNT(*) OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
        THEN NULL
        ELSE CAST("dub_source"."user_id" AS TEXT)
      END COLLATE "C"
    ) AS "copies",
    ROW_NUMBER() OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
        THEN NULL
        ELSE CAST("dub_source"."user_id" AS TEXT)
      END COLLATE "C"
      ORDER BY "dub_source"."updated_at" DESC NULLS LAST, CAST("dub_source"."mail" AS TEXT) COLLATE "C" DESC NULLS LAST, CAST("dub_source"."name" AS TEXT) COLLATE "C" DESC NULLS LAST
    ) AS "place"
  FROM "dub_source"
), "dub_classified" AS (
  SELECT
    "dub_keyed".*,
    CASE
      WHEN "dub_keyed"."customer_key" IS NULL
      THEN 'no_key'
      WHEN "dub_keyed"."place" > 1
      THEN 'superseded'
      ELSE 'new'
    END AS "status",
    CAST(NULL AS TEXT) AS "first_applied_at",
    CAST(NULL AS TEXT) AS "last_applied_at",
    CAST(NULL AS TEXT) AS "dub_id",
    CAST(NULL AS TEXT) AS "same_fields",
    CAST(NULL AS TEXT) AS "outcome",
    CAST(NULL AS TEXT) AS "code",
    CAST(NULL AS TEXT) AS "message",
    CAST(NULL AS TEXT) AS "run"
  FROM "dub_keyed"
)
SELECT
  "raw_0" AS "cell_0",
  "raw_1" AS "cell_1",
  "raw_2" AS "cell_2",
  "status",
  "copies",
  "first_applied_at",
  "last_applied_at",
  "dub_id",
  "same_fields",
  "customer_key",
  "email",
  "name",
  CAST(NULL AS TEXT) AS "avatar",
  CAST(NULL AS TEXT) AS "external_id",
  CAST(NULL AS TEXT) AS "stripe_customer_id",
  CAST(NULL AS TEXT) AS "country",
  CAST(NULL AS TEXT) AS "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "run"
FROM "dub_classified"
WHERE
  "status" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- create 0
CREATE TABLE IF NOT EXISTS "analytics"."dub_state" (
  "customer_key" VARCHAR(255) COLLATE "C",
  "email" TEXT,
  "name" TEXT,
  "avatar" TEXT,
  "external_id" TEXT,
  "stripe_customer_id" TEXT,
  "country" TEXT,
  "subscription_canceled_at" TEXT,
  "cleared" TEXT,
  "outcome" VARCHAR(255),
  "code" TEXT,
  "message" TEXT,
  "dub_id" TEXT,
  "first_applied_at" TIMESTAMP,
  "last_applied_at" TIMESTAMP,
  "last_tried_at" TIMESTAMP,
  "run" TEXT
);

-- create 1
CREATE INDEX "dub_state_by_customer_key" ON "analytics"."dub_state"("customer_key");

-- probe
SELECT
  *
FROM "analytics"."dub_state"
WHERE
  1 = 0;

-- create lease 0
CREATE TABLE IF NOT EXISTS "analytics"."dub_state_lease" (
  "slot" INT PRIMARY KEY,
  "target" TEXT,
  "task" TEXT,
  "attempt" TEXT,
  "process" TEXT,
  "expires_at" BIGINT,
  "schema_version" INT,
  "previous" TEXT
);

-- clock
SELECT
  CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT) AS dub_now;

-- read lease
SELECT
  "target",
  "task",
  "attempt",
  "process",
  "expires_at",
  "schema_version",
  "previous",
  CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT) AS "dub_now"
FROM "analytics"."dub_state_lease";

-- insert lease
INSERT INTO "analytics"."dub_state_lease" (
  "slot",
  "target",
  "task",
  "attempt",
  "process",
  "expires_at",
  "schema_version",
  "previous"
)
VALUES
  (1, %(p)s, NULL, NULL, NULL, 0, %(p)s, NULL);

-- acquire lease
UPDATE "analytics"."dub_state_lease" SET "previous" = COALESCE("previous", "attempt"), "task" = %(p)s, "attempt" = %(p)s, "process" = %(p)s, "expires_at" = CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT) + %(p)s
WHERE
  (
    "task" IS NULL
    OR "expires_at" < CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT)
    OR "attempt" = %(p)s
  )
  AND "target" = %(p)s
  AND "schema_version" <= %(p)s;

-- renew lease
UPDATE "analytics"."dub_state_lease" SET "task" = %(p)s, "expires_at" = CAST(FLOOR(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)) AS BIGINT) + %(p)s
WHERE
  "attempt" = %(p)s AND NOT "task" IS NULL;

-- set version
UPDATE "analytics"."dub_state_lease" SET "schema_version" = %(p)s
WHERE
  "attempt" = %(p)s;

-- add column
ALTER TABLE "analytics"."dub_state"
ADD COLUMN "country" TEXT;

-- set pending
UPDATE "analytics"."dub_state" SET "code" = CASE
  WHEN (
    "outcome" IN ('updated', 'unchanged', 'baseline') AND "message" IS NULL
  )
  AND (
    NOT "dub_id" IS NULL OR "outcome" = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, "outcome" = 'pending'
WHERE
  "customer_key" COLLATE "C" IN (
    SELECT
      "customer_key" COLLATE "C"
    FROM (
      WITH "dub_source" AS (
        SELECT
          *
        FROM (
          SELECT
            user_id,
            mail,
            name,
            updated_at
          FROM crm.people
        ) AS "dub_query"
      ), "dub_keyed" AS (
        SELECT
          "dub_source"."user_id" AS "raw_0",
          "dub_source"."mail" AS "raw_1",
          "dub_source"."name" AS "raw_2",
          CASE
            WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
            THEN NULL
            ELSE CAST("dub_source"."user_id" AS TEXT)
          END AS "customer_key",
          CAST("dub_source"."mail" AS TEXT) AS "email",
          CAST("dub_source"."name" AS TEXT) AS "name",
          CAST(NULL AS TEXT) AS "avatar",
          CAST(NULL AS TEXT) AS "external_id",
          CAST(NULL AS TEXT) AS "stripe_customer_id",
          CAST(NULL AS TEXT) AS "country",
          CAST(NULL AS TEXT) AS "subscription_canceled_at",
          CASE WHEN CAST("dub_source"."name" AS TEXT) IS NULL THEN 'name ' ELSE '' END || '' AS "cleared",
          COUNT(*) OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
              THEN NULL
              ELSE CAST("dub_source"."user_id" AS TEXT)
            END COLLATE "C"
          ) AS "copies",
          ROW_NUMBER() OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
              THEN NULL
              ELSE CAST("dub_source"."user_id" AS TEXT)
            END COLLATE "C"
            ORDER BY "dub_source"."updated_at" DESC NULLS LAST, CAST("dub_source"."mail" AS TEXT) COLLATE "C" DESC NULLS LAST, CAST("dub_source"."name" AS TEXT) COLLATE "C" DESC NULLS LAST
          ) AS "place"
        FROM "dub_source"
      ), "dub_classified" AS (
        SELECT
          "dub_keyed".*,
          CASE
            WHEN "dub_keyed"."customer_key" IS NULL
            THEN 'no_key'
            WHEN "dub_keyed"."place" > 1
            THEN 'superseded'
            WHEN "dub_state"."customer_key" IS NULL
            THEN 'new'
            WHEN "dub_state"."outcome" = 'pending'
            THEN 'pending'
            WHEN CASE
              WHEN (
                "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
                OR (
                  "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
                )
              )
              AND (
                "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
                OR (
                  "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
                )
              )
              AND (
                "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
                OR (
                  "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
                )
              )
              AND (
                "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
                OR (
                  "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
                )
              )
              AND (
                "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
                OR (
                  "dub_state"."stripe_customer_id" IS NULL
                  AND "dub_keyed"."stripe_customer_id" IS NULL
                )
              )
              AND (
                "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
                OR (
                  "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
                )
              )
              AND (
                "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
                OR (
                  "dub_state"."subscription_canceled_at" IS NULL
                  AND "dub_keyed"."subscription_canceled_at" IS NULL
                )
              )
              AND (
                "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
                OR (
                  "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
                )
              )
              THEN 1
              ELSE 0
            END = 0
            THEN 'changed'
            WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
            THEN 'unchanged'
            WHEN "dub_state"."outcome" IN ('failed', 'rejected')
            THEN 'refused'
            WHEN "dub_state"."outcome" = 'missing'
            AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
            THEN 'retried'
            WHEN "dub_state"."outcome" = 'missing'
            THEN 'missing'
            ELSE 'pending'
          END AS "status",
          CASE
            WHEN (
              (
                "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
                AND "dub_state"."message" IS NULL
              )
              AND (
                NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
              )
            )
            OR (
              "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
            )
            THEN CASE
              WHEN (
                "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
                OR (
                  "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
                )
              )
              AND (
                "dub_state"."cleared" = "dub_keyed"."cleared"
                OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
              )
              THEN 'email '
              ELSE ''
            END || CASE
              WHEN (
                "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
                OR (
                  "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
                )
              )
              AND (
                "dub_state"."cleared" = "dub_keyed"."cleared"
                OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
              )
              THEN 'name '
              ELSE ''
            END || ''
            ELSE ''
          END AS "same_fields",
          "dub_state"."first_applied_at",
          "dub_state"."last_applied_at",
          "dub_state"."dub_id",
          "dub_state"."outcome",
          "dub_state"."code",
          "dub_state"."message",
          "dub_state"."run"
        FROM "dub_keyed"
        LEFT JOIN "analytics"."dub_state" AS "dub_state"
          ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
      )
      SELECT
        "customer_key"
      FROM "dub_classified"
      WHERE
        "status" IN ('changed', 'retried', 'refreshed')
    ) AS "dub_keys"
  );

-- set pending, the first
UPDATE "analytics"."dub_state" SET "code" = CASE
  WHEN (
    "outcome" IN ('updated', 'unchanged', 'baseline') AND "message" IS NULL
  )
  AND (
    NOT "dub_id" IS NULL OR "outcome" = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, "outcome" = 'pending'
WHERE
  "customer_key" COLLATE "C" IN (
    SELECT
      "customer_key" COLLATE "C"
    FROM (
      WITH "dub_source" AS (
        SELECT
          *
        FROM (
          SELECT
            user_id,
            mail,
            name,
            updated_at
          FROM crm.people
        ) AS "dub_query"
      ), "dub_keyed" AS (
        SELECT
          "dub_source"."user_id" AS "raw_0",
          "dub_source"."mail" AS "raw_1",
          "dub_source"."name" AS "raw_2",
          CASE
            WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
            THEN NULL
            ELSE CAST("dub_source"."user_id" AS TEXT)
          END AS "customer_key",
          CAST("dub_source"."mail" AS TEXT) AS "email",
          CAST("dub_source"."name" AS TEXT) AS "name",
          CAST(NULL AS TEXT) AS "avatar",
          CAST(NULL AS TEXT) AS "external_id",
          CAST(NULL AS TEXT) AS "stripe_customer_id",
          CAST(NULL AS TEXT) AS "country",
          CAST(NULL AS TEXT) AS "subscription_canceled_at",
          CASE WHEN CAST("dub_source"."name" AS TEXT) IS NULL THEN 'name ' ELSE '' END || '' AS "cleared",
          COUNT(*) OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
              THEN NULL
              ELSE CAST("dub_source"."user_id" AS TEXT)
            END COLLATE "C"
          ) AS "copies",
          ROW_NUMBER() OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
              THEN NULL
              ELSE CAST("dub_source"."user_id" AS TEXT)
            END COLLATE "C"
            ORDER BY "dub_source"."updated_at" DESC NULLS LAST, CAST("dub_source"."mail" AS TEXT) COLLATE "C" DESC NULLS LAST, CAST("dub_source"."name" AS TEXT) COLLATE "C" DESC NULLS LAST
          ) AS "place"
        FROM "dub_source"
      ), "dub_classified" AS (
        SELECT
          "dub_keyed".*,
          CASE
            WHEN "dub_keyed"."customer_key" IS NULL
            THEN 'no_key'
            WHEN "dub_keyed"."place" > 1
            THEN 'superseded'
            WHEN "dub_state"."customer_key" IS NULL
            THEN 'new'
            WHEN "dub_state"."outcome" = 'pending'
            THEN 'pending'
            WHEN CASE
              WHEN (
                "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
                OR (
                  "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
                )
              )
              AND (
                "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
                OR (
                  "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
                )
              )
              AND (
                "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
                OR (
                  "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
                )
              )
              AND (
                "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
                OR (
                  "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
                )
              )
              AND (
                "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
                OR (
                  "dub_state"."stripe_customer_id" IS NULL
                  AND "dub_keyed"."stripe_customer_id" IS NULL
                )
              )
              AND (
                "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
                OR (
                  "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
                )
              )
              AND (
                "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
                OR (
                  "dub_state"."subscription_canceled_at" IS NULL
                  AND "dub_keyed"."subscription_canceled_at" IS NULL
                )
              )
              AND (
                "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
                OR (
                  "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
                )
              )
              THEN 1
              ELSE 0
            END = 0
            THEN 'changed'
            WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
            THEN 'unchanged'
            WHEN "dub_state"."outcome" IN ('failed', 'rejected')
            THEN 'refused'
            WHEN "dub_state"."outcome" = 'missing'
            AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
            THEN 'retried'
            WHEN "dub_state"."outcome" = 'missing'
            THEN 'missing'
            ELSE 'pending'
          END AS "status",
          CASE
            WHEN (
              (
                "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
                AND "dub_state"."message" IS NULL
              )
              AND (
                NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
              )
            )
            OR (
              "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
            )
            THEN CASE
              WHEN (
                "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
                OR (
                  "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
                )
              )
              AND (
                "dub_state"."cleared" = "dub_keyed"."cleared"
                OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
              )
              THEN 'email '
              ELSE ''
            END || CASE
              WHEN (
                "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
                OR (
                  "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
                )
              )
              AND (
                "dub_state"."cleared" = "dub_keyed"."cleared"
                OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
              )
              THEN 'name '
              ELSE ''
            END || ''
            ELSE ''
          END AS "same_fields",
          "dub_state"."first_applied_at",
          "dub_state"."last_applied_at",
          "dub_state"."dub_id",
          "dub_state"."outcome",
          "dub_state"."code",
          "dub_state"."message",
          "dub_state"."run"
        FROM "dub_keyed"
        LEFT JOIN "analytics"."dub_state" AS "dub_state"
          ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
      )
      SELECT
        "customer_key"
      FROM (
        SELECT
          "customer_key",
          "status"
        FROM "dub_classified"
        WHERE
          "status" IN ('new', 'changed', 'pending', 'retried', 'refreshed')
        ORDER BY
          "customer_key" COLLATE "C"
        LIMIT 10
      ) AS "dub_first"
      WHERE
        "status" IN ('changed', 'retried', 'refreshed')
    ) AS "dub_keys"
  );

-- keep
CREATE TEMPORARY TABLE "dub_changes_token" AS
WITH "dub_source" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "dub_query"
), "dub_keyed" AS (
  SELECT
    "dub_source"."user_id" AS "raw_0",
    "dub_source"."mail" AS "raw_1",
    "dub_source"."name" AS "raw_2",
    CASE
      WHEN TRIM(CAST("dub_source"."user_id" AS TEXT)) = ''
      THEN NULL
      ELSE CAST("dub_source"."user_id" AS TEXT)
    END AS "customer_key",
    CAST("dub_source"."mail" AS TEXT) AS "email",
    CAST("dub_source"."name" AS TEXT) AS "name",
    CAST(NULL AS TEXT) AS "avatar",
    CAST(NULL AS TEXT) AS "external_id",
    CAST(NULL AS TEXT) AS "stripe_customer_id",
    CAST(NULL AS TEXT) AS "country",
    CAST(NULL AS TEXT) AS "subscription_canceled_at",
    CASE WHEN CAST("dub_source"."name" AS TEXT) IS NULL THEN 'name ' ELSE '' END || '' AS "cleared",
    1 AS "copies"
  FROM "dub_source"
), "dub_classified" AS (
  SELECT
    "dub_keyed".*,
    CASE
      WHEN "dub_keyed"."customer_key" IS NULL
      THEN 'no_key'
      WHEN "dub_keyed"."copies" > 1
      THEN 'duplicate'
      WHEN "dub_state"."customer_key" IS NULL
      THEN 'new'
      WHEN "dub_state"."outcome" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
          OR (
            "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
          )
        )
        AND (
          "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
          OR (
            "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
          )
        )
        AND (
          "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
          OR (
            "dub_state"."stripe_customer_id" IS NULL
            AND "dub_keyed"."stripe_customer_id" IS NULL
          )
        )
        AND (
          "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
          OR (
            "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
          )
        )
        AND (
          "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
          OR (
            "dub_state"."subscription_canceled_at" IS NULL
            AND "dub_keyed"."subscription_canceled_at" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
          OR (
            "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "dub_state"."outcome" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "dub_state"."outcome" = 'missing'
      AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "dub_state"."outcome" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "status",
    CASE
      WHEN (
        (
          "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
          AND "dub_state"."message" IS NULL
        )
        AND (
          NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
        )
      )
      OR (
        "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
      )
      THEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END || CASE
        WHEN (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END || ''
      ELSE ''
    END AS "same_fields",
    "dub_state"."first_applied_at",
    "dub_state"."last_applied_at",
    "dub_state"."dub_id",
    "dub_state"."outcome",
    "dub_state"."code",
    "dub_state"."message",
    "dub_state"."run"
  FROM "dub_keyed"
  LEFT JOIN "analytics"."dub_state" AS "dub_state"
    ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
)
SELECT
  "raw_0",
  "raw_1",
  "raw_2",
  "status",
  "first_applied_at",
  "last_applied_at",
  "dub_id",
  "same_fields",
  "customer_key",
  "email",
  "name",
  "cleared",
  "outcome",
  "code",
  "message",
  "run"
FROM "dub_classified";

-- counts of what is kept
SELECT
  "status",
  COUNT(*) AS "rows_of_it",
  COUNT("dub_id") AS "with_dub_id",
  (
    SELECT
      COUNT("customer_key") - COUNT(DISTINCT "customer_key" COLLATE "C")
    FROM "dub_changes_token"
  ) AS "surplus"
FROM "dub_changes_token"
GROUP BY
  "status";

-- rows of what is kept
SELECT
  "raw_0" AS "cell_0",
  "raw_1" AS "cell_1",
  "raw_2" AS "cell_2",
  "status",
  1 AS "copies",
  TO_CHAR("first_applied_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "first_applied_at",
  TO_CHAR("last_applied_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "last_applied_at",
  "dub_id",
  "same_fields",
  "customer_key",
  "email",
  "name",
  CAST(NULL AS TEXT) AS "avatar",
  CAST(NULL AS TEXT) AS "external_id",
  CAST(NULL AS TEXT) AS "stripe_customer_id",
  CAST(NULL AS TEXT) AS "country",
  CAST(NULL AS TEXT) AS "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "run"
FROM "dub_changes_token"
WHERE
  "status" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- set pending what is kept
UPDATE "analytics"."dub_state" SET "code" = CASE
  WHEN (
    "outcome" IN ('updated', 'unchanged', 'baseline') AND "message" IS NULL
  )
  AND (
    NOT "dub_id" IS NULL OR "outcome" = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, "outcome" = 'pending'
WHERE
  "customer_key" COLLATE "C" IN (
    SELECT
      "customer_key" COLLATE "C"
    FROM (
      SELECT
        "customer_key"
      FROM "dub_changes_token"
      WHERE
        "status" IN ('changed', 'retried', 'refreshed')
    ) AS "dub_keys"
  );

-- append
INSERT INTO "analytics"."dub_state_history" (
  "customer_key",
  "email",
  "name",
  "avatar",
  "external_id",
  "stripe_customer_id",
  "country",
  "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "dub_id",
  "first_applied_at",
  "last_applied_at",
  "last_tried_at",
  "run",
  "attempt"
)
VALUES
  (
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s
  ),
  (
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s,
    %(p)s
  );

-- merge 0
DELETE FROM "analytics"."dub_state"
WHERE
  "customer_key" COLLATE "C" IN (
    SELECT
      "customer_key" COLLATE "C"
    FROM (
      SELECT
        "customer_key"
      FROM "analytics"."dub_state_history"
      WHERE
        "attempt" = %(p)s
    ) AS "dub_keys"
  );

-- merge 1
INSERT INTO "analytics"."dub_state" (
  "customer_key",
  "email",
  "name",
  "avatar",
  "external_id",
  "stripe_customer_id",
  "country",
  "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "dub_id",
  "first_applied_at",
  "last_applied_at",
  "last_tried_at",
  "run"
)
SELECT
  "customer_key",
  "email",
  "name",
  "avatar",
  "external_id",
  "stripe_customer_id",
  "country",
  "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "dub_id",
  "first_applied_at",
  "last_applied_at",
  "last_tried_at",
  "run"
FROM (
  SELECT
    "customer_key",
    "email",
    "name",
    "avatar",
    "external_id",
    "stripe_customer_id",
    "country",
    "subscription_canceled_at",
    "cleared",
    "outcome",
    "code",
    "message",
    "dub_id",
    "first_applied_at",
    "last_applied_at",
    "last_tried_at",
    "run",
    ROW_NUMBER() OVER (PARTITION BY "customer_key" COLLATE "C" ORDER BY "last_tried_at" DESC NULLS LAST) AS "place"
  FROM "analytics"."dub_state_history"
  WHERE
    "attempt" = %(p)s
) AS "dub_lines"
WHERE
  "place" = 1;

-- set merged
UPDATE "analytics"."dub_state_lease" SET "previous" = NULL
WHERE
  "attempt" = %(p)s;

-- end lease
UPDATE "analytics"."dub_state_lease" SET "task" = NULL, "attempt" = NULL
WHERE
  "attempt" = %(p)s;

-- read check lines
SELECT
  "customer_key",
  "email",
  "name",
  "avatar",
  "external_id",
  "stripe_customer_id",
  "country",
  "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "dub_id",
  "run",
  (
    SELECT
      TO_CHAR(MIN("last_tried_at"), 'YYYY-MM-DD HH24:MI:SS.US')
    FROM "analytics"."dub_state_history"
    WHERE
      "attempt" <> %(p)s
  ) AS "oldest"
FROM "analytics"."dub_state"
WHERE
  "customer_key" IN (%(p)s, %(p)s);

-- repeated keys
SELECT
  COUNT(*) AS "repeated"
FROM (
  SELECT
    "customer_key" COLLATE "C" AS "dub_key"
  FROM "analytics"."dub_state"
  GROUP BY
    "customer_key" COLLATE "C"
  HAVING
    COUNT(*) > 1
) AS "dub_repeated";

-- find check lines
SELECT
  "customer_key"
FROM "analytics"."dub_state"
WHERE
  "customer_key" IN (%(p)s, %(p)s);

-- set none pending
UPDATE "analytics"."dub_state" SET "code" = NULL, "outcome" = 'pending'
WHERE
  1 = 0;

-- delete attempt
DELETE FROM "analytics"."dub_state_history"
WHERE
  "attempt" = %(p)s;

-- prune
DELETE FROM "analytics"."dub_state_history"
WHERE
  "last_tried_at" < '2026-01-01 00:00:00.000000';

-- create staging 0
CREATE TABLE IF NOT EXISTS "analytics"."dub_state_staging" (
  "position" BIGINT,
  "customer_key" TEXT COLLATE "C",
  "email" TEXT,
  "name" TEXT,
  "avatar" TEXT,
  "external_id" TEXT,
  "stripe_customer_id" TEXT,
  "country" TEXT,
  "subscription_canceled_at" TEXT,
  "cleared" TEXT,
  "latest" TEXT,
  "attempt" VARCHAR(255)
);

-- probe staging
SELECT
  *
FROM "analytics"."dub_state_staging"
WHERE
  1 = 0;

-- drop staging
DROP TABLE "analytics"."dub_state_staging";

-- delete staged
DELETE FROM "analytics"."dub_state_staging"
WHERE
  "attempt" = %(p)s;

-- delete staged by others
DELETE FROM "analytics"."dub_state_staging"
WHERE
  "attempt" <> %(p)s;

-- counts of staged rows
WITH "dub_keyed" AS (
  SELECT
    "dub_staged"."position",
    "dub_staged"."customer_key",
    "dub_staged"."email",
    "dub_staged"."name",
    CAST(NULL AS TEXT) AS "avatar",
    CAST(NULL AS TEXT) AS "external_id",
    CAST(NULL AS TEXT) AS "stripe_customer_id",
    CAST(NULL AS TEXT) AS "country",
    CAST(NULL AS TEXT) AS "subscription_canceled_at",
    "dub_staged"."cleared",
    COUNT(*) OVER (PARTITION BY "dub_staged"."customer_key" COLLATE "C") AS "copies",
    ROW_NUMBER() OVER (
      PARTITION BY "dub_staged"."customer_key" COLLATE "C"
      ORDER BY "dub_staged"."latest" COLLATE "C" DESC NULLS LAST, "dub_staged"."email" COLLATE "C" DESC NULLS LAST, "dub_staged"."name" COLLATE "C" DESC NULLS LAST
    ) AS "place"
  FROM "analytics"."dub_state_staging" AS "dub_staged"
  WHERE
    "dub_staged"."attempt" = 'token'
), "dub_classified" AS (
  SELECT
    "dub_keyed".*,
    CASE
      WHEN "dub_keyed"."customer_key" IS NULL
      THEN 'no_key'
      WHEN "dub_keyed"."place" > 1
      THEN 'superseded'
      WHEN "dub_state"."customer_key" IS NULL
      THEN 'new'
      WHEN "dub_state"."outcome" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
          OR (
            "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
          )
        )
        AND (
          "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
          OR (
            "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
          )
        )
        AND (
          "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
          OR (
            "dub_state"."stripe_customer_id" IS NULL
            AND "dub_keyed"."stripe_customer_id" IS NULL
          )
        )
        AND (
          "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
          OR (
            "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
          )
        )
        AND (
          "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
          OR (
            "dub_state"."subscription_canceled_at" IS NULL
            AND "dub_keyed"."subscription_canceled_at" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
          OR (
            "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "dub_state"."outcome" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "dub_state"."outcome" = 'missing'
      AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "dub_state"."outcome" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "status",
    CASE
      WHEN (
        (
          "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
          AND "dub_state"."message" IS NULL
        )
        AND (
          NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
        )
      )
      OR (
        "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
      )
      THEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END || CASE
        WHEN (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END || ''
      ELSE ''
    END AS "same_fields",
    "dub_state"."first_applied_at",
    "dub_state"."last_applied_at",
    "dub_state"."dub_id",
    "dub_state"."outcome",
    "dub_state"."code",
    "dub_state"."message",
    "dub_state"."run"
  FROM "dub_keyed"
  LEFT JOIN "analytics"."dub_state" AS "dub_state"
    ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
)
SELECT
  "status",
  COUNT(*) AS "rows_of_it",
  COUNT("dub_id") AS "with_dub_id",
  0 AS "surplus"
FROM "dub_classified"
GROUP BY
  "status";

-- rows of staged rows
WITH "dub_keyed" AS (
  SELECT
    "dub_staged"."position",
    "dub_staged"."customer_key",
    "dub_staged"."email",
    "dub_staged"."name",
    CAST(NULL AS TEXT) AS "avatar",
    CAST(NULL AS TEXT) AS "external_id",
    CAST(NULL AS TEXT) AS "stripe_customer_id",
    CAST(NULL AS TEXT) AS "country",
    CAST(NULL AS TEXT) AS "subscription_canceled_at",
    "dub_staged"."cleared",
    COUNT(*) OVER (PARTITION BY "dub_staged"."customer_key" COLLATE "C") AS "copies",
    ROW_NUMBER() OVER (
      PARTITION BY "dub_staged"."customer_key" COLLATE "C"
      ORDER BY "dub_staged"."latest" COLLATE "C" DESC NULLS LAST, "dub_staged"."email" COLLATE "C" DESC NULLS LAST, "dub_staged"."name" COLLATE "C" DESC NULLS LAST
    ) AS "place"
  FROM "analytics"."dub_state_staging" AS "dub_staged"
  WHERE
    "dub_staged"."attempt" = 'token'
), "dub_classified" AS (
  SELECT
    "dub_keyed".*,
    CASE
      WHEN "dub_keyed"."customer_key" IS NULL
      THEN 'no_key'
      WHEN "dub_keyed"."place" > 1
      THEN 'superseded'
      WHEN "dub_state"."customer_key" IS NULL
      THEN 'new'
      WHEN "dub_state"."outcome" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."avatar" COLLATE "C" = "dub_keyed"."avatar" COLLATE "C"
          OR (
            "dub_state"."avatar" IS NULL AND "dub_keyed"."avatar" IS NULL
          )
        )
        AND (
          "dub_state"."external_id" COLLATE "C" = "dub_keyed"."external_id" COLLATE "C"
          OR (
            "dub_state"."external_id" IS NULL AND "dub_keyed"."external_id" IS NULL
          )
        )
        AND (
          "dub_state"."stripe_customer_id" COLLATE "C" = "dub_keyed"."stripe_customer_id" COLLATE "C"
          OR (
            "dub_state"."stripe_customer_id" IS NULL
            AND "dub_keyed"."stripe_customer_id" IS NULL
          )
        )
        AND (
          "dub_state"."country" COLLATE "C" = "dub_keyed"."country" COLLATE "C"
          OR (
            "dub_state"."country" IS NULL AND "dub_keyed"."country" IS NULL
          )
        )
        AND (
          "dub_state"."subscription_canceled_at" COLLATE "C" = "dub_keyed"."subscription_canceled_at" COLLATE "C"
          OR (
            "dub_state"."subscription_canceled_at" IS NULL
            AND "dub_keyed"."subscription_canceled_at" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" COLLATE "C" = "dub_keyed"."cleared" COLLATE "C"
          OR (
            "dub_state"."cleared" IS NULL AND "dub_keyed"."cleared" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "dub_state"."outcome" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "dub_state"."outcome" = 'missing'
      AND "dub_state"."last_tried_at" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "dub_state"."outcome" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "status",
    CASE
      WHEN (
        (
          "dub_state"."outcome" IN ('updated', 'unchanged', 'baseline')
          AND "dub_state"."message" IS NULL
        )
        AND (
          NOT "dub_state"."dub_id" IS NULL OR "dub_state"."outcome" = 'baseline'
        )
      )
      OR (
        "dub_state"."outcome" = 'pending' AND "dub_state"."code" = 'token'
      )
      THEN CASE
        WHEN (
          "dub_state"."email" COLLATE "C" = "dub_keyed"."email" COLLATE "C"
          OR (
            "dub_state"."email" IS NULL AND "dub_keyed"."email" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' email ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' email ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END || CASE
        WHEN (
          "dub_state"."name" COLLATE "C" = "dub_keyed"."name" COLLATE "C"
          OR (
            "dub_state"."name" IS NULL AND "dub_keyed"."name" IS NULL
          )
        )
        AND (
          "dub_state"."cleared" = "dub_keyed"."cleared"
          OR CASE WHEN POSITION(' name ' IN ' ' || "dub_state"."cleared") > 0 THEN 1 ELSE 0 END = CASE WHEN POSITION(' name ' IN ' ' || "dub_keyed"."cleared") > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END || ''
      ELSE ''
    END AS "same_fields",
    "dub_state"."first_applied_at",
    "dub_state"."last_applied_at",
    "dub_state"."dub_id",
    "dub_state"."outcome",
    "dub_state"."code",
    "dub_state"."message",
    "dub_state"."run"
  FROM "dub_keyed"
  LEFT JOIN "analytics"."dub_state" AS "dub_state"
    ON "dub_state"."customer_key" COLLATE "C" = "dub_keyed"."customer_key" COLLATE "C"
)
SELECT
  "position" AS "cell_0",
  "status",
  "copies",
  TO_CHAR("first_applied_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "first_applied_at",
  TO_CHAR("last_applied_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "last_applied_at",
  "dub_id",
  "same_fields",
  "customer_key",
  "email",
  "name",
  CAST(NULL AS TEXT) AS "avatar",
  CAST(NULL AS TEXT) AS "external_id",
  CAST(NULL AS TEXT) AS "stripe_customer_id",
  CAST(NULL AS TEXT) AS "country",
  CAST(NULL AS TEXT) AS "subscription_canceled_at",
  "cleared",
  "outcome",
  "code",
  "message",
  "run"
FROM "dub_classified"
WHERE
  "status" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate')
ORDER BY
  "position" NULLS FIRST;

-- read state
SELECT
  "customer_key",
  TO_CHAR("last_tried_at", 'YYYY-MM-DD HH24:MI:SS.US') AS "last_tried_at"
FROM "analytics"."dub_state";

-- create history 0
CREATE TABLE IF NOT EXISTS "analytics"."dub_state_history" (
  "customer_key" VARCHAR(255) COLLATE "C",
  "email" TEXT,
  "name" TEXT,
  "avatar" TEXT,
  "external_id" TEXT,
  "stripe_customer_id" TEXT,
  "country" TEXT,
  "subscription_canceled_at" TEXT,
  "cleared" TEXT,
  "outcome" VARCHAR(255),
  "code" TEXT,
  "message" TEXT,
  "dub_id" TEXT,
  "first_applied_at" TIMESTAMP,
  "last_applied_at" TIMESTAMP,
  "last_tried_at" TIMESTAMP,
  "run" TEXT,
  "attempt" VARCHAR(255)
);

-- create history 1
CREATE INDEX "dub_state_history_by_attempt" ON "analytics"."dub_state_history"("attempt");

