-- columns
WITH "DUB_SOURCE" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "DUB_QUERY"
)
SELECT
  *
FROM "DUB_SOURCE"
WHERE
  1 = 0;

-- counts
WITH "DUB_SOURCE" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "DUB_QUERY"
), "DUB_KEYED" AS (
  SELECT
    "DUB_SOURCE"."user_id" AS "RAW_0",
    "DUB_SOURCE"."mail" AS "RAW_1",
    "DUB_SOURCE"."name" AS "RAW_2",
    CASE
      WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
      THEN NULL
      ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
    END AS "CUSTOMER_KEY",
    CAST("DUB_SOURCE"."mail" AS VARCHAR) AS "EMAIL",
    CAST("DUB_SOURCE"."name" AS VARCHAR) AS "NAME",
    CAST(NULL AS VARCHAR) AS "AVATAR",
    CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
    CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
    CAST(NULL AS VARCHAR) AS "COUNTRY",
    CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
    CONCAT(
      CASE WHEN CAST("DUB_SOURCE"."name" AS VARCHAR) IS NULL THEN 'name ' ELSE '' END,
      ''
    ) AS "CLEARED",
    COUNT(*) OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
        THEN NULL
        ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
      END
    ) AS "COPIES",
    ROW_NUMBER() OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
        THEN NULL
        ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
      END
      ORDER BY "DUB_SOURCE"."updated_at" DESC NULLS LAST, CAST("DUB_SOURCE"."mail" AS VARCHAR) DESC NULLS LAST, CAST("DUB_SOURCE"."name" AS VARCHAR) DESC NULLS LAST
    ) AS "PLACE"
  FROM "DUB_SOURCE"
), "DUB_CLASSIFIED" AS (
  SELECT
    "DUB_KEYED".*,
    CASE
      WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
      THEN 'no_key'
      WHEN "DUB_KEYED"."PLACE" > 1
      THEN 'superseded'
      WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
      THEN 'new'
      WHEN "DUB_STATE"."OUTCOME" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
          OR (
            "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
          )
        )
        AND (
          "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
          OR (
            "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
          )
        )
        AND (
          "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
          OR (
            "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
          )
        )
        AND (
          "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
          OR (
            "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
          OR (
            "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
            AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
          OR (
            "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
          )
        )
        AND (
          "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
          OR (
            "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
            AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
          )
        )
        AND (
          "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
          OR (
            "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "STATUS",
    CASE
      WHEN (
        (
          "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
          AND "DUB_STATE"."MESSAGE" IS NULL
        )
        AND (
          NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
        )
      )
      OR (
        "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
            OR (
              "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
            OR (
              "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS "SAME_FIELDS",
    "DUB_STATE"."FIRST_APPLIED_AT",
    "DUB_STATE"."LAST_APPLIED_AT",
    "DUB_STATE"."DUB_ID",
    "DUB_STATE"."OUTCOME",
    "DUB_STATE"."CODE",
    "DUB_STATE"."MESSAGE",
    "DUB_STATE"."RUN"
  FROM "DUB_KEYED"
  LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
    ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
)
SELECT
  "STATUS",
  COUNT(*) AS "ROWS_OF_IT",
  COUNT("DUB_ID") AS "WITH_DUB_ID",
  0 AS "SURPLUS"
FROM "DUB_CLASSIFIED"
GROUP BY
  "STATUS";

-- rows
WITH "DUB_SOURCE" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "DUB_QUERY"
), "DUB_KEYED" AS (
  SELECT
    "DUB_SOURCE"."user_id" AS "RAW_0",
    "DUB_SOURCE"."mail" AS "RAW_1",
    "DUB_SOURCE"."name" AS "RAW_2",
    CASE
      WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
      THEN NULL
      ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
    END AS "CUSTOMER_KEY",
    CAST("DUB_SOURCE"."mail" AS VARCHAR) AS "EMAIL",
    CAST("DUB_SOURCE"."name" AS VARCHAR) AS "NAME",
    CAST(NULL AS VARCHAR) AS "AVATAR",
    CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
    CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
    CAST(NULL AS VARCHAR) AS "COUNTRY",
    CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
    CONCAT(
      CASE WHEN CAST("DUB_SOURCE"."name" AS VARCHAR) IS NULL THEN 'name ' ELSE '' END,
      ''
    ) AS "CLEARED",
    COUNT(*) OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
        THEN NULL
        ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
      END
    ) AS "COPIES",
    ROW_NUMBER() OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
        THEN NULL
        ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
      END
      ORDER BY "DUB_SOURCE"."updated_at" DESC NULLS LAST, CAST("DUB_SOURCE"."mail" AS VARCHAR) DESC NULLS LAST, CAST("DUB_SOURCE"."name" AS VARCHAR) DESC NULLS LAST
    ) AS "PLACE"
  FROM "DUB_SOURCE"
), "DUB_CLASSIFIED" AS (
  SELECT
    "DUB_KEYED".*,
    CASE
      WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
      THEN 'no_key'
      WHEN "DUB_KEYED"."PLACE" > 1
      THEN 'superseded'
      WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
      THEN 'new'
      WHEN "DUB_STATE"."OUTCOME" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
          OR (
            "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
          )
        )
        AND (
          "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
          OR (
            "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
          )
        )
        AND (
          "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
          OR (
            "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
          )
        )
        AND (
          "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
          OR (
            "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
          OR (
            "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
            AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
          OR (
            "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
          )
        )
        AND (
          "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
          OR (
            "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
            AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
          )
        )
        AND (
          "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
          OR (
            "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "STATUS",
    CASE
      WHEN (
        (
          "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
          AND "DUB_STATE"."MESSAGE" IS NULL
        )
        AND (
          NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
        )
      )
      OR (
        "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
            OR (
              "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
            OR (
              "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS "SAME_FIELDS",
    "DUB_STATE"."FIRST_APPLIED_AT",
    "DUB_STATE"."LAST_APPLIED_AT",
    "DUB_STATE"."DUB_ID",
    "DUB_STATE"."OUTCOME",
    "DUB_STATE"."CODE",
    "DUB_STATE"."MESSAGE",
    "DUB_STATE"."RUN"
  FROM "DUB_KEYED"
  LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
    ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
)
SELECT
  "RAW_0" AS "CELL_0",
  "RAW_1" AS "CELL_1",
  "RAW_2" AS "CELL_2",
  "STATUS",
  "COPIES",
  TO_CHAR("FIRST_APPLIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "FIRST_APPLIED_AT",
  TO_CHAR("LAST_APPLIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "LAST_APPLIED_AT",
  "DUB_ID",
  "SAME_FIELDS",
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  CAST(NULL AS VARCHAR) AS "AVATAR",
  CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
  CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
  CAST(NULL AS VARCHAR) AS "COUNTRY",
  CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "RUN"
FROM "DUB_CLASSIFIED"
WHERE
  "STATUS" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- rows without a state table
WITH "DUB_SOURCE" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "DUB_QUERY"
), "DUB_KEYED" AS (
  SELECT
    "DUB_SOURCE"."user_id" AS "RAW_0",
    "DUB_SOURCE"."mail" AS "RAW_1",
    "DUB_SOURCE"."name" AS "RAW_2",
    CASE
      WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
      THEN NULL
      ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
    END AS "CUSTOMER_KEY",
    CAST("DUB_SOURCE"."mail" AS VARCHAR) AS "EMAIL",
    CAST("DUB_SOURCE"."name" AS VARCHAR) AS "NAME",
    CAST(NULL AS VARCHAR) AS "AVATAR",
    CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
    CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
    CAST(NULL AS VARCHAR) AS "COUNTRY",
    CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
    CONCAT(
      CASE WHEN CAST("DUB_SOURCE"."name" AS VARCHAR) IS NULL THEN 'name ' ELSE '' END,
      ''
    ) AS "CLEARED",
    COUNT(*) OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
        THEN NULL
        ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
      END
    ) AS "COPIES",
    ROW_NUMBER() OVER (
      PARTITION BY CASE
        WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
        THEN NULL
        ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
      END
      ORDER BY "DUB_SOURCE"."updated_at" DESC NULLS LAST, CAST("DUB_SOURCE"."mail" AS VARCHAR) DESC NULLS LAST, CAST("DUB_SOURCE"."name" AS VARCHAR) DESC NULLS LAST
    ) AS "PLACE"
  FROM "DUB_SOURCE"
), "DUB_CLASSIFIED" AS (
  SELECT
    "DUB_KEYED".*,
    CASE
      WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
      THEN 'no_key'
      WHEN "DUB_KEYED"."PLACE" > 1
      THEN 'superseded'
      ELSE 'new'
    END AS "STATUS",
    CAST(NULL AS VARCHAR) AS "FIRST_APPLIED_AT",
    CAST(NULL AS VARCHAR) AS "LAST_APPLIED_AT",
    CAST(NULL AS VARCHAR) AS "DUB_ID",
    CAST(NULL AS VARCHAR) AS "SAME_FIELDS",
    CAST(NULL AS VARCHAR) AS "OUTCOME",
    CAST(NULL AS VARCHAR) AS "CODE",
    CAST(NULL AS VARCHAR) AS "MESSAGE",
    CAST(NULL AS VARCHAR) AS "RUN"
  FROM "DUB_KEYED"
)
SELECT
  "RAW_0" AS "CELL_0",
  "RAW_1" AS "CELL_1",
  "RAW_2" AS "CELL_2",
  "STATUS",
  "COPIES",
  "FIRST_APPLIED_AT",
  "LAST_APPLIED_AT",
  "DUB_ID",
  "SAME_FIELDS",
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  CAST(NULL AS VARCHAR) AS "AVATAR",
  CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
  CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
  CAST(NULL AS VARCHAR) AS "COUNTRY",
  CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "RUN"
FROM "DUB_CLASSIFIED"
WHERE
  "STATUS" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- create 0
CREATE TABLE IF NOT EXISTS "ANALYTICS"."DUB_STATE" (
  "CUSTOMER_KEY" VARCHAR(255),
  "EMAIL" VARCHAR,
  "NAME" VARCHAR,
  "AVATAR" VARCHAR,
  "EXTERNAL_ID" VARCHAR,
  "STRIPE_CUSTOMER_ID" VARCHAR,
  "COUNTRY" VARCHAR,
  "SUBSCRIPTION_CANCELED_AT" VARCHAR,
  "CLEARED" VARCHAR,
  "OUTCOME" VARCHAR(255),
  "CODE" VARCHAR,
  "MESSAGE" VARCHAR,
  "DUB_ID" VARCHAR,
  "FIRST_APPLIED_AT" TIMESTAMP,
  "LAST_APPLIED_AT" TIMESTAMP,
  "LAST_TRIED_AT" TIMESTAMP,
  "RUN" VARCHAR
);

-- probe
SELECT
  *
FROM "ANALYTICS"."DUB_STATE"
WHERE
  1 = 0;

-- create lease 0
CREATE TABLE IF NOT EXISTS "ANALYTICS"."DUB_STATE_LEASE" (
  "SLOT" INT,
  "TARGET" VARCHAR,
  "TASK" VARCHAR,
  "ATTEMPT" VARCHAR,
  "PROCESS" VARCHAR,
  "EXPIRES_AT" BIGINT,
  "SCHEMA_VERSION" INT,
  "PREVIOUS" VARCHAR
);

-- clock
SELECT
  DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP()) AS dub_now;

-- read lease
SELECT
  "TARGET",
  "TASK",
  "ATTEMPT",
  "PROCESS",
  "EXPIRES_AT",
  "SCHEMA_VERSION",
  "PREVIOUS",
  DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP()) AS "DUB_NOW"
FROM "ANALYTICS"."DUB_STATE_LEASE";

-- insert lease
INSERT INTO "ANALYTICS"."DUB_STATE_LEASE" (
  "SLOT",
  "TARGET",
  "TASK",
  "ATTEMPT",
  "PROCESS",
  "EXPIRES_AT",
  "SCHEMA_VERSION",
  "PREVIOUS"
)
VALUES
  (1, :p, NULL, NULL, NULL, 0, :p, NULL);

-- acquire lease
UPDATE "ANALYTICS"."DUB_STATE_LEASE" SET "PREVIOUS" = COALESCE("PREVIOUS", "ATTEMPT"), "TASK" = :p, "ATTEMPT" = :p, "PROCESS" = :p, "EXPIRES_AT" = DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP()) + :p
WHERE
  (
    "TASK" IS NULL
    OR "EXPIRES_AT" < DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP())
    OR "ATTEMPT" = :p
  )
  AND "TARGET" = :p
  AND "SCHEMA_VERSION" <= :p;

-- renew lease
UPDATE "ANALYTICS"."DUB_STATE_LEASE" SET "TASK" = :p, "EXPIRES_AT" = DATE_PART(EPOCH_SECOND, CURRENT_TIMESTAMP()) + :p
WHERE
  "ATTEMPT" = :p AND NOT "TASK" IS NULL;

-- set version
UPDATE "ANALYTICS"."DUB_STATE_LEASE" SET "SCHEMA_VERSION" = :p
WHERE
  "ATTEMPT" = :p;

-- add column
ALTER TABLE "ANALYTICS"."DUB_STATE"
ADD "COUNTRY" VARCHAR;

-- set pending
UPDATE "ANALYTICS"."DUB_STATE" SET "CODE" = CASE
  WHEN (
    "OUTCOME" IN ('updated', 'unchanged', 'baseline') AND "MESSAGE" IS NULL
  )
  AND (
    NOT "DUB_ID" IS NULL OR "OUTCOME" = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, "OUTCOME" = 'pending'
WHERE
  "CUSTOMER_KEY" IN (
    SELECT
      "CUSTOMER_KEY"
    FROM (
      WITH "DUB_SOURCE" AS (
        SELECT
          *
        FROM (
          SELECT
            user_id,
            mail,
            name,
            updated_at
          FROM crm.people
        ) AS "DUB_QUERY"
      ), "DUB_KEYED" AS (
        SELECT
          "DUB_SOURCE"."user_id" AS "RAW_0",
          "DUB_SOURCE"."mail" AS "RAW_1",
          "DUB_SOURCE"."name" AS "RAW_2",
          CASE
            WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
            THEN NULL
            ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
          END AS "CUSTOMER_KEY",
          CAST("DUB_SOURCE"."mail" AS VARCHAR) AS "EMAIL",
          CAST("DUB_SOURCE"."name" AS VARCHAR) AS "NAME",
          CAST(NULL AS VARCHAR) AS "AVATAR",
          CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
          CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
          CAST(NULL AS VARCHAR) AS "COUNTRY",
          CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
          CONCAT(
            CASE WHEN CAST("DUB_SOURCE"."name" AS VARCHAR) IS NULL THEN 'name ' ELSE '' END,
            ''
          ) AS "CLEARED",
          COUNT(*) OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
              THEN NULL
              ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
            END
          ) AS "COPIES",
          ROW_NUMBER() OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
              THEN NULL
              ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
            END
            ORDER BY "DUB_SOURCE"."updated_at" DESC NULLS LAST, CAST("DUB_SOURCE"."mail" AS VARCHAR) DESC NULLS LAST, CAST("DUB_SOURCE"."name" AS VARCHAR) DESC NULLS LAST
          ) AS "PLACE"
        FROM "DUB_SOURCE"
      ), "DUB_CLASSIFIED" AS (
        SELECT
          "DUB_KEYED".*,
          CASE
            WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
            THEN 'no_key'
            WHEN "DUB_KEYED"."PLACE" > 1
            THEN 'superseded'
            WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
            THEN 'new'
            WHEN "DUB_STATE"."OUTCOME" = 'pending'
            THEN 'pending'
            WHEN CASE
              WHEN (
                "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
                OR (
                  "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
                )
              )
              AND (
                "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
                OR (
                  "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
                )
              )
              AND (
                "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
                OR (
                  "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
                )
              )
              AND (
                "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
                OR (
                  "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
                )
              )
              AND (
                "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
                OR (
                  "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
                  AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
                )
              )
              AND (
                "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
                OR (
                  "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
                )
              )
              AND (
                "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
                OR (
                  "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
                  AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
                )
              )
              AND (
                "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
                OR (
                  "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
                )
              )
              THEN 1
              ELSE 0
            END = 0
            THEN 'changed'
            WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
            THEN 'unchanged'
            WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
            THEN 'refused'
            WHEN "DUB_STATE"."OUTCOME" = 'missing'
            AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
            THEN 'retried'
            WHEN "DUB_STATE"."OUTCOME" = 'missing'
            THEN 'missing'
            ELSE 'pending'
          END AS "STATUS",
          CASE
            WHEN (
              (
                "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
                AND "DUB_STATE"."MESSAGE" IS NULL
              )
              AND (
                NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
              )
            )
            OR (
              "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
            )
            THEN CONCAT(
              CASE
                WHEN (
                  "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
                  OR (
                    "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
                  )
                )
                AND (
                  "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
                  OR CASE
                    WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END = CASE
                    WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END
                )
                THEN 'email '
                ELSE ''
              END,
              CASE
                WHEN (
                  "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
                  OR (
                    "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
                  )
                )
                AND (
                  "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
                  OR CASE
                    WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END = CASE
                    WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END
                )
                THEN 'name '
                ELSE ''
              END,
              ''
            )
            ELSE ''
          END AS "SAME_FIELDS",
          "DUB_STATE"."FIRST_APPLIED_AT",
          "DUB_STATE"."LAST_APPLIED_AT",
          "DUB_STATE"."DUB_ID",
          "DUB_STATE"."OUTCOME",
          "DUB_STATE"."CODE",
          "DUB_STATE"."MESSAGE",
          "DUB_STATE"."RUN"
        FROM "DUB_KEYED"
        LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
          ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
      )
      SELECT
        "CUSTOMER_KEY"
      FROM "DUB_CLASSIFIED"
      WHERE
        "STATUS" IN ('changed', 'retried', 'refreshed')
    ) AS "DUB_KEYS"
  );

-- set pending, the first
UPDATE "ANALYTICS"."DUB_STATE" SET "CODE" = CASE
  WHEN (
    "OUTCOME" IN ('updated', 'unchanged', 'baseline') AND "MESSAGE" IS NULL
  )
  AND (
    NOT "DUB_ID" IS NULL OR "OUTCOME" = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, "OUTCOME" = 'pending'
WHERE
  "CUSTOMER_KEY" IN (
    SELECT
      "CUSTOMER_KEY"
    FROM (
      WITH "DUB_SOURCE" AS (
        SELECT
          *
        FROM (
          SELECT
            user_id,
            mail,
            name,
            updated_at
          FROM crm.people
        ) AS "DUB_QUERY"
      ), "DUB_KEYED" AS (
        SELECT
          "DUB_SOURCE"."user_id" AS "RAW_0",
          "DUB_SOURCE"."mail" AS "RAW_1",
          "DUB_SOURCE"."name" AS "RAW_2",
          CASE
            WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
            THEN NULL
            ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
          END AS "CUSTOMER_KEY",
          CAST("DUB_SOURCE"."mail" AS VARCHAR) AS "EMAIL",
          CAST("DUB_SOURCE"."name" AS VARCHAR) AS "NAME",
          CAST(NULL AS VARCHAR) AS "AVATAR",
          CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
          CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
          CAST(NULL AS VARCHAR) AS "COUNTRY",
          CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
          CONCAT(
            CASE WHEN CAST("DUB_SOURCE"."name" AS VARCHAR) IS NULL THEN 'name ' ELSE '' END,
            ''
          ) AS "CLEARED",
          COUNT(*) OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
              THEN NULL
              ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
            END
          ) AS "COPIES",
          ROW_NUMBER() OVER (
            PARTITION BY CASE
              WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
              THEN NULL
              ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
            END
            ORDER BY "DUB_SOURCE"."updated_at" DESC NULLS LAST, CAST("DUB_SOURCE"."mail" AS VARCHAR) DESC NULLS LAST, CAST("DUB_SOURCE"."name" AS VARCHAR) DESC NULLS LAST
          ) AS "PLACE"
        FROM "DUB_SOURCE"
      ), "DUB_CLASSIFIED" AS (
        SELECT
          "DUB_KEYED".*,
          CASE
            WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
            THEN 'no_key'
            WHEN "DUB_KEYED"."PLACE" > 1
            THEN 'superseded'
            WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
            THEN 'new'
            WHEN "DUB_STATE"."OUTCOME" = 'pending'
            THEN 'pending'
            WHEN CASE
              WHEN (
                "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
                OR (
                  "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
                )
              )
              AND (
                "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
                OR (
                  "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
                )
              )
              AND (
                "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
                OR (
                  "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
                )
              )
              AND (
                "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
                OR (
                  "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
                )
              )
              AND (
                "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
                OR (
                  "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
                  AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
                )
              )
              AND (
                "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
                OR (
                  "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
                )
              )
              AND (
                "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
                OR (
                  "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
                  AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
                )
              )
              AND (
                "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
                OR (
                  "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
                )
              )
              THEN 1
              ELSE 0
            END = 0
            THEN 'changed'
            WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
            THEN 'unchanged'
            WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
            THEN 'refused'
            WHEN "DUB_STATE"."OUTCOME" = 'missing'
            AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
            THEN 'retried'
            WHEN "DUB_STATE"."OUTCOME" = 'missing'
            THEN 'missing'
            ELSE 'pending'
          END AS "STATUS",
          CASE
            WHEN (
              (
                "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
                AND "DUB_STATE"."MESSAGE" IS NULL
              )
              AND (
                NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
              )
            )
            OR (
              "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
            )
            THEN CONCAT(
              CASE
                WHEN (
                  "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
                  OR (
                    "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
                  )
                )
                AND (
                  "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
                  OR CASE
                    WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END = CASE
                    WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END
                )
                THEN 'email '
                ELSE ''
              END,
              CASE
                WHEN (
                  "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
                  OR (
                    "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
                  )
                )
                AND (
                  "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
                  OR CASE
                    WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END = CASE
                    WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
                    THEN 1
                    ELSE 0
                  END
                )
                THEN 'name '
                ELSE ''
              END,
              ''
            )
            ELSE ''
          END AS "SAME_FIELDS",
          "DUB_STATE"."FIRST_APPLIED_AT",
          "DUB_STATE"."LAST_APPLIED_AT",
          "DUB_STATE"."DUB_ID",
          "DUB_STATE"."OUTCOME",
          "DUB_STATE"."CODE",
          "DUB_STATE"."MESSAGE",
          "DUB_STATE"."RUN"
        FROM "DUB_KEYED"
        LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
          ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
      )
      SELECT
        "CUSTOMER_KEY"
      FROM (
        SELECT
          "CUSTOMER_KEY",
          "STATUS"
        FROM "DUB_CLASSIFIED"
        WHERE
          "STATUS" IN ('new', 'changed', 'pending', 'retried', 'refreshed')
        ORDER BY
          "CUSTOMER_KEY"
        LIMIT 10
      ) AS "DUB_FIRST"
      WHERE
        "STATUS" IN ('changed', 'retried', 'refreshed')
    ) AS "DUB_KEYS"
  );

-- keep
CREATE TEMPORARY TABLE "ANALYTICS"."DUB_CHANGES_TOKEN" AS
WITH "DUB_SOURCE" AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS "DUB_QUERY"
), "DUB_KEYED" AS (
  SELECT
    "DUB_SOURCE"."user_id" AS "RAW_0",
    "DUB_SOURCE"."mail" AS "RAW_1",
    "DUB_SOURCE"."name" AS "RAW_2",
    CASE
      WHEN TRIM(CAST("DUB_SOURCE"."user_id" AS VARCHAR)) = ''
      THEN NULL
      ELSE CAST("DUB_SOURCE"."user_id" AS VARCHAR)
    END AS "CUSTOMER_KEY",
    CAST("DUB_SOURCE"."mail" AS VARCHAR) AS "EMAIL",
    CAST("DUB_SOURCE"."name" AS VARCHAR) AS "NAME",
    CAST(NULL AS VARCHAR) AS "AVATAR",
    CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
    CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
    CAST(NULL AS VARCHAR) AS "COUNTRY",
    CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
    CONCAT(
      CASE WHEN CAST("DUB_SOURCE"."name" AS VARCHAR) IS NULL THEN 'name ' ELSE '' END,
      ''
    ) AS "CLEARED",
    1 AS "COPIES"
  FROM "DUB_SOURCE"
), "DUB_CLASSIFIED" AS (
  SELECT
    "DUB_KEYED".*,
    CASE
      WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
      THEN 'no_key'
      WHEN "DUB_KEYED"."COPIES" > 1
      THEN 'duplicate'
      WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
      THEN 'new'
      WHEN "DUB_STATE"."OUTCOME" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
          OR (
            "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
          )
        )
        AND (
          "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
          OR (
            "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
          )
        )
        AND (
          "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
          OR (
            "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
          )
        )
        AND (
          "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
          OR (
            "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
          OR (
            "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
            AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
          OR (
            "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
          )
        )
        AND (
          "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
          OR (
            "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
            AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
          )
        )
        AND (
          "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
          OR (
            "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "STATUS",
    CASE
      WHEN (
        (
          "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
          AND "DUB_STATE"."MESSAGE" IS NULL
        )
        AND (
          NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
        )
      )
      OR (
        "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
            OR (
              "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
            OR (
              "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS "SAME_FIELDS",
    "DUB_STATE"."FIRST_APPLIED_AT",
    "DUB_STATE"."LAST_APPLIED_AT",
    "DUB_STATE"."DUB_ID",
    "DUB_STATE"."OUTCOME",
    "DUB_STATE"."CODE",
    "DUB_STATE"."MESSAGE",
    "DUB_STATE"."RUN"
  FROM "DUB_KEYED"
  LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
    ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
)
SELECT
  "RAW_0",
  "RAW_1",
  "RAW_2",
  "STATUS",
  "FIRST_APPLIED_AT",
  "LAST_APPLIED_AT",
  "DUB_ID",
  "SAME_FIELDS",
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "RUN"
FROM "DUB_CLASSIFIED";

-- counts of what is kept
SELECT
  "STATUS",
  COUNT(*) AS "ROWS_OF_IT",
  COUNT("DUB_ID") AS "WITH_DUB_ID",
  (
    SELECT
      COUNT("CUSTOMER_KEY") - COUNT(DISTINCT "CUSTOMER_KEY")
    FROM "ANALYTICS"."DUB_CHANGES_TOKEN"
  ) AS "SURPLUS"
FROM "ANALYTICS"."DUB_CHANGES_TOKEN"
GROUP BY
  "STATUS";

-- rows of what is kept
SELECT
  "RAW_0" AS "CELL_0",
  "RAW_1" AS "CELL_1",
  "RAW_2" AS "CELL_2",
  "STATUS",
  1 AS "COPIES",
  TO_CHAR("FIRST_APPLIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "FIRST_APPLIED_AT",
  TO_CHAR("LAST_APPLIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "LAST_APPLIED_AT",
  "DUB_ID",
  "SAME_FIELDS",
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  CAST(NULL AS VARCHAR) AS "AVATAR",
  CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
  CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
  CAST(NULL AS VARCHAR) AS "COUNTRY",
  CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "RUN"
FROM "ANALYTICS"."DUB_CHANGES_TOKEN"
WHERE
  "STATUS" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- set pending what is kept
UPDATE "ANALYTICS"."DUB_STATE" SET "CODE" = CASE
  WHEN (
    "OUTCOME" IN ('updated', 'unchanged', 'baseline') AND "MESSAGE" IS NULL
  )
  AND (
    NOT "DUB_ID" IS NULL OR "OUTCOME" = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, "OUTCOME" = 'pending'
WHERE
  "CUSTOMER_KEY" IN (
    SELECT
      "CUSTOMER_KEY"
    FROM (
      SELECT
        "CUSTOMER_KEY"
      FROM "ANALYTICS"."DUB_CHANGES_TOKEN"
      WHERE
        "STATUS" IN ('changed', 'retried', 'refreshed')
    ) AS "DUB_KEYS"
  );

-- append
INSERT INTO "ANALYTICS"."DUB_STATE_HISTORY" (
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  "AVATAR",
  "EXTERNAL_ID",
  "STRIPE_CUSTOMER_ID",
  "COUNTRY",
  "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "DUB_ID",
  "FIRST_APPLIED_AT",
  "LAST_APPLIED_AT",
  "LAST_TRIED_AT",
  "RUN",
  "ATTEMPT"
)
VALUES
  (:p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p),
  (:p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p);

-- merge 0
DELETE FROM "ANALYTICS"."DUB_STATE"
WHERE
  "CUSTOMER_KEY" IN (
    SELECT
      "CUSTOMER_KEY"
    FROM (
      SELECT
        "CUSTOMER_KEY"
      FROM "ANALYTICS"."DUB_STATE_HISTORY"
      WHERE
        "ATTEMPT" = :p
    ) AS "DUB_KEYS"
  );

-- merge 1
INSERT INTO "ANALYTICS"."DUB_STATE" (
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  "AVATAR",
  "EXTERNAL_ID",
  "STRIPE_CUSTOMER_ID",
  "COUNTRY",
  "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "DUB_ID",
  "FIRST_APPLIED_AT",
  "LAST_APPLIED_AT",
  "LAST_TRIED_AT",
  "RUN"
)
SELECT
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  "AVATAR",
  "EXTERNAL_ID",
  "STRIPE_CUSTOMER_ID",
  "COUNTRY",
  "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "DUB_ID",
  "FIRST_APPLIED_AT",
  "LAST_APPLIED_AT",
  "LAST_TRIED_AT",
  "RUN"
FROM (
  SELECT
    "CUSTOMER_KEY",
    "EMAIL",
    "NAME",
    "AVATAR",
    "EXTERNAL_ID",
    "STRIPE_CUSTOMER_ID",
    "COUNTRY",
    "SUBSCRIPTION_CANCELED_AT",
    "CLEARED",
    "OUTCOME",
    "CODE",
    "MESSAGE",
    "DUB_ID",
    "FIRST_APPLIED_AT",
    "LAST_APPLIED_AT",
    "LAST_TRIED_AT",
    "RUN",
    ROW_NUMBER() OVER (PARTITION BY "CUSTOMER_KEY" ORDER BY "LAST_TRIED_AT" DESC NULLS LAST) AS "PLACE"
  FROM "ANALYTICS"."DUB_STATE_HISTORY"
  WHERE
    "ATTEMPT" = :p
) AS "DUB_LINES"
WHERE
  "PLACE" = 1;

-- set merged
UPDATE "ANALYTICS"."DUB_STATE_LEASE" SET "PREVIOUS" = NULL
WHERE
  "ATTEMPT" = :p;

-- end lease
UPDATE "ANALYTICS"."DUB_STATE_LEASE" SET "TASK" = NULL, "ATTEMPT" = NULL
WHERE
  "ATTEMPT" = :p;

-- read check lines
SELECT
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  "AVATAR",
  "EXTERNAL_ID",
  "STRIPE_CUSTOMER_ID",
  "COUNTRY",
  "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "DUB_ID",
  "RUN",
  (
    SELECT
      TO_CHAR(MIN("LAST_TRIED_AT"), 'YYYY-MM-DD HH24:MI:SS.FF9')
    FROM "ANALYTICS"."DUB_STATE_HISTORY"
    WHERE
      "ATTEMPT" <> :p
  ) AS "OLDEST"
FROM "ANALYTICS"."DUB_STATE"
WHERE
  "CUSTOMER_KEY" IN (:p, :p);

-- repeated keys
SELECT
  COUNT(*) AS "REPEATED"
FROM (
  SELECT
    "CUSTOMER_KEY" AS "DUB_KEY"
  FROM "ANALYTICS"."DUB_STATE"
  GROUP BY
    "CUSTOMER_KEY"
  HAVING
    COUNT(*) > 1
) AS "DUB_REPEATED";

-- find check lines
SELECT
  "CUSTOMER_KEY"
FROM "ANALYTICS"."DUB_STATE"
WHERE
  "CUSTOMER_KEY" IN (:p, :p);

-- set none pending
UPDATE "ANALYTICS"."DUB_STATE" SET "CODE" = NULL, "OUTCOME" = 'pending'
WHERE
  1 = 0;

-- delete attempt
DELETE FROM "ANALYTICS"."DUB_STATE_HISTORY"
WHERE
  "ATTEMPT" = :p;

-- prune
DELETE FROM "ANALYTICS"."DUB_STATE_HISTORY"
WHERE
  "LAST_TRIED_AT" < '2026-01-01 00:00:00.000000';

-- create staging 0
CREATE TABLE IF NOT EXISTS "ANALYTICS"."DUB_STATE_STAGING" (
  "POSITION" BIGINT,
  "CUSTOMER_KEY" VARCHAR,
  "EMAIL" VARCHAR,
  "NAME" VARCHAR,
  "AVATAR" VARCHAR,
  "EXTERNAL_ID" VARCHAR,
  "STRIPE_CUSTOMER_ID" VARCHAR,
  "COUNTRY" VARCHAR,
  "SUBSCRIPTION_CANCELED_AT" VARCHAR,
  "CLEARED" VARCHAR,
  "LATEST" VARCHAR,
  "ATTEMPT" VARCHAR(255)
);

-- probe staging
SELECT
  *
FROM "ANALYTICS"."DUB_STATE_STAGING"
WHERE
  1 = 0;

-- drop staging
DROP TABLE "ANALYTICS"."DUB_STATE_STAGING";

-- delete staged
DELETE FROM "ANALYTICS"."DUB_STATE_STAGING"
WHERE
  "ATTEMPT" = :p;

-- delete staged by others
DELETE FROM "ANALYTICS"."DUB_STATE_STAGING"
WHERE
  "ATTEMPT" <> :p;

-- counts of staged rows
WITH "DUB_KEYED" AS (
  SELECT
    "DUB_STAGED"."POSITION",
    "DUB_STAGED"."CUSTOMER_KEY",
    "DUB_STAGED"."EMAIL",
    "DUB_STAGED"."NAME",
    CAST(NULL AS VARCHAR) AS "AVATAR",
    CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
    CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
    CAST(NULL AS VARCHAR) AS "COUNTRY",
    CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
    "DUB_STAGED"."CLEARED",
    COUNT(*) OVER (PARTITION BY "DUB_STAGED"."CUSTOMER_KEY") AS "COPIES",
    ROW_NUMBER() OVER (
      PARTITION BY "DUB_STAGED"."CUSTOMER_KEY"
      ORDER BY "DUB_STAGED"."LATEST" DESC NULLS LAST, "DUB_STAGED"."EMAIL" DESC NULLS LAST, "DUB_STAGED"."NAME" DESC NULLS LAST
    ) AS "PLACE"
  FROM "ANALYTICS"."DUB_STATE_STAGING" AS "DUB_STAGED"
  WHERE
    "DUB_STAGED"."ATTEMPT" = 'token'
), "DUB_CLASSIFIED" AS (
  SELECT
    "DUB_KEYED".*,
    CASE
      WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
      THEN 'no_key'
      WHEN "DUB_KEYED"."PLACE" > 1
      THEN 'superseded'
      WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
      THEN 'new'
      WHEN "DUB_STATE"."OUTCOME" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
          OR (
            "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
          )
        )
        AND (
          "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
          OR (
            "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
          )
        )
        AND (
          "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
          OR (
            "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
          )
        )
        AND (
          "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
          OR (
            "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
          OR (
            "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
            AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
          OR (
            "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
          )
        )
        AND (
          "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
          OR (
            "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
            AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
          )
        )
        AND (
          "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
          OR (
            "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "STATUS",
    CASE
      WHEN (
        (
          "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
          AND "DUB_STATE"."MESSAGE" IS NULL
        )
        AND (
          NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
        )
      )
      OR (
        "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
            OR (
              "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
            OR (
              "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS "SAME_FIELDS",
    "DUB_STATE"."FIRST_APPLIED_AT",
    "DUB_STATE"."LAST_APPLIED_AT",
    "DUB_STATE"."DUB_ID",
    "DUB_STATE"."OUTCOME",
    "DUB_STATE"."CODE",
    "DUB_STATE"."MESSAGE",
    "DUB_STATE"."RUN"
  FROM "DUB_KEYED"
  LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
    ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
)
SELECT
  "STATUS",
  COUNT(*) AS "ROWS_OF_IT",
  COUNT("DUB_ID") AS "WITH_DUB_ID",
  0 AS "SURPLUS"
FROM "DUB_CLASSIFIED"
GROUP BY
  "STATUS";

-- rows of staged rows
WITH "DUB_KEYED" AS (
  SELECT
    "DUB_STAGED"."POSITION",
    "DUB_STAGED"."CUSTOMER_KEY",
    "DUB_STAGED"."EMAIL",
    "DUB_STAGED"."NAME",
    CAST(NULL AS VARCHAR) AS "AVATAR",
    CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
    CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
    CAST(NULL AS VARCHAR) AS "COUNTRY",
    CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
    "DUB_STAGED"."CLEARED",
    COUNT(*) OVER (PARTITION BY "DUB_STAGED"."CUSTOMER_KEY") AS "COPIES",
    ROW_NUMBER() OVER (
      PARTITION BY "DUB_STAGED"."CUSTOMER_KEY"
      ORDER BY "DUB_STAGED"."LATEST" DESC NULLS LAST, "DUB_STAGED"."EMAIL" DESC NULLS LAST, "DUB_STAGED"."NAME" DESC NULLS LAST
    ) AS "PLACE"
  FROM "ANALYTICS"."DUB_STATE_STAGING" AS "DUB_STAGED"
  WHERE
    "DUB_STAGED"."ATTEMPT" = 'token'
), "DUB_CLASSIFIED" AS (
  SELECT
    "DUB_KEYED".*,
    CASE
      WHEN "DUB_KEYED"."CUSTOMER_KEY" IS NULL
      THEN 'no_key'
      WHEN "DUB_KEYED"."PLACE" > 1
      THEN 'superseded'
      WHEN "DUB_STATE"."CUSTOMER_KEY" IS NULL
      THEN 'new'
      WHEN "DUB_STATE"."OUTCOME" = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
          OR (
            "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
          )
        )
        AND (
          "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
          OR (
            "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
          )
        )
        AND (
          "DUB_STATE"."AVATAR" = "DUB_KEYED"."AVATAR"
          OR (
            "DUB_STATE"."AVATAR" IS NULL AND "DUB_KEYED"."AVATAR" IS NULL
          )
        )
        AND (
          "DUB_STATE"."EXTERNAL_ID" = "DUB_KEYED"."EXTERNAL_ID"
          OR (
            "DUB_STATE"."EXTERNAL_ID" IS NULL AND "DUB_KEYED"."EXTERNAL_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."STRIPE_CUSTOMER_ID" = "DUB_KEYED"."STRIPE_CUSTOMER_ID"
          OR (
            "DUB_STATE"."STRIPE_CUSTOMER_ID" IS NULL
            AND "DUB_KEYED"."STRIPE_CUSTOMER_ID" IS NULL
          )
        )
        AND (
          "DUB_STATE"."COUNTRY" = "DUB_KEYED"."COUNTRY"
          OR (
            "DUB_STATE"."COUNTRY" IS NULL AND "DUB_KEYED"."COUNTRY" IS NULL
          )
        )
        AND (
          "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" = "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT"
          OR (
            "DUB_STATE"."SUBSCRIPTION_CANCELED_AT" IS NULL
            AND "DUB_KEYED"."SUBSCRIPTION_CANCELED_AT" IS NULL
          )
        )
        AND (
          "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
          OR (
            "DUB_STATE"."CLEARED" IS NULL AND "DUB_KEYED"."CLEARED" IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN "DUB_STATE"."OUTCOME" IN ('failed', 'rejected')
      THEN 'refused'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      AND "DUB_STATE"."LAST_TRIED_AT" < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN "DUB_STATE"."OUTCOME" = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS "STATUS",
    CASE
      WHEN (
        (
          "DUB_STATE"."OUTCOME" IN ('updated', 'unchanged', 'baseline')
          AND "DUB_STATE"."MESSAGE" IS NULL
        )
        AND (
          NOT "DUB_STATE"."DUB_ID" IS NULL OR "DUB_STATE"."OUTCOME" = 'baseline'
        )
      )
      OR (
        "DUB_STATE"."OUTCOME" = 'pending' AND "DUB_STATE"."CODE" = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            "DUB_STATE"."EMAIL" = "DUB_KEYED"."EMAIL"
            OR (
              "DUB_STATE"."EMAIL" IS NULL AND "DUB_KEYED"."EMAIL" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' email ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            "DUB_STATE"."NAME" = "DUB_KEYED"."NAME"
            OR (
              "DUB_STATE"."NAME" IS NULL AND "DUB_KEYED"."NAME" IS NULL
            )
          )
          AND (
            "DUB_STATE"."CLEARED" = "DUB_KEYED"."CLEARED"
            OR CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_STATE"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN CHARINDEX(' name ', CONCAT(' ', "DUB_KEYED"."CLEARED")) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS "SAME_FIELDS",
    "DUB_STATE"."FIRST_APPLIED_AT",
    "DUB_STATE"."LAST_APPLIED_AT",
    "DUB_STATE"."DUB_ID",
    "DUB_STATE"."OUTCOME",
    "DUB_STATE"."CODE",
    "DUB_STATE"."MESSAGE",
    "DUB_STATE"."RUN"
  FROM "DUB_KEYED"
  LEFT JOIN "ANALYTICS"."DUB_STATE" AS "DUB_STATE"
    ON "DUB_STATE"."CUSTOMER_KEY" = "DUB_KEYED"."CUSTOMER_KEY"
)
SELECT
  "POSITION" AS "CELL_0",
  "STATUS",
  "COPIES",
  TO_CHAR("FIRST_APPLIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "FIRST_APPLIED_AT",
  TO_CHAR("LAST_APPLIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "LAST_APPLIED_AT",
  "DUB_ID",
  "SAME_FIELDS",
  "CUSTOMER_KEY",
  "EMAIL",
  "NAME",
  CAST(NULL AS VARCHAR) AS "AVATAR",
  CAST(NULL AS VARCHAR) AS "EXTERNAL_ID",
  CAST(NULL AS VARCHAR) AS "STRIPE_CUSTOMER_ID",
  CAST(NULL AS VARCHAR) AS "COUNTRY",
  CAST(NULL AS VARCHAR) AS "SUBSCRIPTION_CANCELED_AT",
  "CLEARED",
  "OUTCOME",
  "CODE",
  "MESSAGE",
  "RUN"
FROM "DUB_CLASSIFIED"
WHERE
  "STATUS" IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate')
ORDER BY
  "POSITION" NULLS FIRST;

-- read state
SELECT
  "CUSTOMER_KEY",
  TO_CHAR("LAST_TRIED_AT", 'YYYY-MM-DD HH24:MI:SS.FF9') AS "LAST_TRIED_AT"
FROM "ANALYTICS"."DUB_STATE";

-- create history 0
CREATE TABLE IF NOT EXISTS "ANALYTICS"."DUB_STATE_HISTORY" (
  "CUSTOMER_KEY" VARCHAR(255),
  "EMAIL" VARCHAR,
  "NAME" VARCHAR,
  "AVATAR" VARCHAR,
  "EXTERNAL_ID" VARCHAR,
  "STRIPE_CUSTOMER_ID" VARCHAR,
  "COUNTRY" VARCHAR,
  "SUBSCRIPTION_CANCELED_AT" VARCHAR,
  "CLEARED" VARCHAR,
  "OUTCOME" VARCHAR(255),
  "CODE" VARCHAR,
  "MESSAGE" VARCHAR,
  "DUB_ID" VARCHAR,
  "FIRST_APPLIED_AT" TIMESTAMP,
  "LAST_APPLIED_AT" TIMESTAMP,
  "LAST_TRIED_AT" TIMESTAMP,
  "RUN" VARCHAR,
  "ATTEMPT" VARCHAR(255)
);

