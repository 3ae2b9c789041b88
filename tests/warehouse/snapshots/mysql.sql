-- columns
WITH `dub_source` AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS `dub_query`
)
SELECT
  *
FROM `dub_source`
WHERE
  1 = 0;

-- counts
WITH `dub_source` AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS `dub_query`
), `dub_keyed` AS (
  SELECT
    `dub_source`.`user_id` AS `raw_0`,
    `dub_source`.`mail` AS `raw_1`,
    `dub_source`.`name` AS `raw_2`,
    CASE
      WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
      THEN NULL
      ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
    END AS `customer_key`,
    CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS `email`,
    CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS `name`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
    CONCAT(
      CASE
        WHEN CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) IS NULL
        THEN 'name '
        ELSE ''
      END,
      ''
    ) AS `cleared`,
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
        THEN NULL
        ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
      END AS BINARY)
    ) AS `copies`,
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
        THEN NULL
        ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
      END AS BINARY)
      ORDER BY `dub_source`.`updated_at` DESC, CAST(CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC, CAST(CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC
    ) AS `place`
  FROM `dub_source`
), `dub_classified` AS (
  SELECT
    `dub_keyed`.*,
    CASE
      WHEN `dub_keyed`.`customer_key` IS NULL
      THEN 'no_key'
      WHEN `dub_keyed`.`place` > 1
      THEN 'superseded'
      WHEN `dub_state`.`customer_key` IS NULL
      THEN 'new'
      WHEN `dub_state`.`outcome` = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
          OR (
            `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
          OR (
            `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`avatar` AS BINARY) = CAST(`dub_keyed`.`avatar` AS BINARY)
          OR (
            `dub_state`.`avatar` IS NULL AND `dub_keyed`.`avatar` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`external_id` AS BINARY) = CAST(`dub_keyed`.`external_id` AS BINARY)
          OR (
            `dub_state`.`external_id` IS NULL AND `dub_keyed`.`external_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`stripe_customer_id` AS BINARY) = CAST(`dub_keyed`.`stripe_customer_id` AS BINARY)
          OR (
            `dub_state`.`stripe_customer_id` IS NULL
            AND `dub_keyed`.`stripe_customer_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`country` AS BINARY) = CAST(`dub_keyed`.`country` AS BINARY)
          OR (
            `dub_state`.`country` IS NULL AND `dub_keyed`.`country` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`subscription_canceled_at` AS BINARY) = CAST(`dub_keyed`.`subscription_canceled_at` AS BINARY)
          OR (
            `dub_state`.`subscription_canceled_at` IS NULL
            AND `dub_keyed`.`subscription_canceled_at` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`cleared` AS BINARY) = CAST(`dub_keyed`.`cleared` AS BINARY)
          OR (
            `dub_state`.`cleared` IS NULL AND `dub_keyed`.`cleared` IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN `dub_state`.`outcome` IN ('failed', 'rejected')
      THEN 'refused'
      WHEN `dub_state`.`outcome` = 'missing'
      AND `dub_state`.`last_tried_at` < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN `dub_state`.`outcome` = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS `status`,
    CASE
      WHEN (
        (
          `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
          AND `dub_state`.`message` IS NULL
        )
        AND (
          NOT `dub_state`.`dub_id` IS NULL OR `dub_state`.`outcome` = 'baseline'
        )
      )
      OR (
        `dub_state`.`outcome` = 'pending' AND `dub_state`.`code` = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
            OR (
              `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_state`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
            OR (
              `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_state`.`cleared`)) > 0 THEN 1 ELSE 0 END = CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0 THEN 1 ELSE 0 END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS `same_fields`,
    `dub_state`.`first_applied_at`,
    `dub_state`.`last_applied_at`,
    `dub_state`.`dub_id`,
    `dub_state`.`outcome`,
    `dub_state`.`code`,
    `dub_state`.`message`,
    `dub_state`.`run`
  FROM `dub_keyed`
  LEFT JOIN `analytics`.`dub_state` AS `dub_state`
    ON `dub_state`.`customer_key` = `dub_keyed`.`customer_key`
    AND CAST(`dub_state`.`customer_key` AS BINARY) = CAST(`dub_keyed`.`customer_key` AS BINARY)
)
SELECT
  `status`,
  COUNT(*) AS `rows_of_it`,
  COUNT(`dub_id`) AS `with_dub_id`,
  0 AS `surplus`
FROM `dub_classified`
GROUP BY
  `status`;

-- rows
WITH `dub_source` AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS `dub_query`
), `dub_keyed` AS (
  SELECT
    `dub_source`.`user_id` AS `raw_0`,
    `dub_source`.`mail` AS `raw_1`,
    `dub_source`.`name` AS `raw_2`,
    CASE
      WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
      THEN NULL
      ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
    END AS `customer_key`,
    CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS `email`,
    CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS `name`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
    CONCAT(
      CASE
        WHEN CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) IS NULL
        THEN 'name '
        ELSE ''
      END,
      ''
    ) AS `cleared`,
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
        THEN NULL
        ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
      END AS BINARY)
    ) AS `copies`,
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
        THEN NULL
        ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
      END AS BINARY)
      ORDER BY `dub_source`.`updated_at` DESC, CAST(CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC, CAST(CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC
    ) AS `place`
  FROM `dub_source`
), `dub_classified` AS (
  SELECT
    `dub_keyed`.*,
    CASE
      WHEN `dub_keyed`.`customer_key` IS NULL
      THEN 'no_key'
      WHEN `dub_keyed`.`place` > 1
      THEN 'superseded'
      WHEN `dub_state`.`customer_key` IS NULL
      THEN 'new'
      WHEN `dub_state`.`outcome` = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
          OR (
            `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
          OR (
            `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`avatar` AS BINARY) = CAST(`dub_keyed`.`avatar` AS BINARY)
          OR (
            `dub_state`.`avatar` IS NULL AND `dub_keyed`.`avatar` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`external_id` AS BINARY) = CAST(`dub_keyed`.`external_id` AS BINARY)
          OR (
            `dub_state`.`external_id` IS NULL AND `dub_keyed`.`external_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`stripe_customer_id` AS BINARY) = CAST(`dub_keyed`.`stripe_customer_id` AS BINARY)
          OR (
            `dub_state`.`stripe_customer_id` IS NULL
            AND `dub_keyed`.`stripe_customer_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`country` AS BINARY) = CAST(`dub_keyed`.`country` AS BINARY)
          OR (
            `dub_state`.`country` IS NULL AND `dub_keyed`.`country` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`subscription_canceled_at` AS BINARY) = CAST(`dub_keyed`.`subscription_canceled_at` AS BINARY)
          OR (
            `dub_state`.`subscription_canceled_at` IS NULL
            AND `dub_keyed`.`subscription_canceled_at` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`cleared` AS BINARY) = CAST(`dub_keyed`.`cleared` AS BINARY)
          OR (
            `dub_state`.`cleared` IS NULL AND `dub_keyed`.`cleared` IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN `dub_state`.`outcome` IN ('failed', 'rejected')
      THEN 'refused'
      WHEN `dub_state`.`outcome` = 'missing'
      AND `dub_state`.`last_tried_at` < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN `dub_state`.`outcome` = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS `status`,
    CASE
      WHEN (
        (
          `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
          AND `dub_state`.`message` IS NULL
        )
        AND (
          NOT `dub_state`.`dub_id` IS NULL OR `dub_state`.`outcome` = 'baseline'
        )
      )
      OR (
        `dub_state`.`outcome` = 'pending' AND `dub_state`.`code` = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
            OR (
              `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_state`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
            OR (
              `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_state`.`cleared`)) > 0 THEN 1 ELSE 0 END = CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0 THEN 1 ELSE 0 END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS `same_fields`,
    `dub_state`.`first_applied_at`,
    `dub_state`.`last_applied_at`,
    `dub_state`.`dub_id`,
    `dub_state`.`outcome`,
    `dub_state`.`code`,
    `dub_state`.`message`,
    `dub_state`.`run`
  FROM `dub_keyed`
  LEFT JOIN `analytics`.`dub_state` AS `dub_state`
    ON `dub_state`.`customer_key` = `dub_keyed`.`customer_key`
    AND CAST(`dub_state`.`customer_key` AS BINARY) = CAST(`dub_keyed`.`customer_key` AS BINARY)
)
SELECT
  `raw_0` AS `cell_0`,
  `raw_1` AS `cell_1`,
  `raw_2` AS `cell_2`,
  `status`,
  `copies`,
  CAST(`first_applied_at` AS CHAR CHARACTER SET utf8mb4) AS `first_applied_at`,
  CAST(`last_applied_at` AS CHAR CHARACTER SET utf8mb4) AS `last_applied_at`,
  `dub_id`,
  `same_fields`,
  `customer_key`,
  `email`,
  `name`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `run`
FROM `dub_classified`
WHERE
  `status` IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- rows without a state table
WITH `dub_source` AS (
  SELECT
    *
  FROM (
    SELECT
      user_id,
      mail,
      name,
      updated_at
    FROM crm.people
  ) AS `dub_query`
), `dub_keyed` AS (
  SELECT
    `dub_source`.`user_id` AS `raw_0`,
    `dub_source`.`mail` AS `raw_1`,
    `dub_source`.`name` AS `raw_2`,
    CASE
      WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
      THEN NULL
      ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
    END AS `customer_key`,
    CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS `email`,
    CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS `name`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
    CONCAT(
      CASE
        WHEN CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) IS NULL
        THEN 'name '
        ELSE ''
      END,
      ''
    ) AS `cleared`,
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
        THEN NULL
        ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
      END AS BINARY)
    ) AS `copies`,
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
        THEN NULL
        ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
      END AS BINARY)
      ORDER BY `dub_source`.`updated_at` DESC, CAST(CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC, CAST(CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC
    ) AS `place`
  FROM `dub_source`
), `dub_classified` AS (
  SELECT
    `dub_keyed`.*,
    CASE
      WHEN `dub_keyed`.`customer_key` IS NULL
      THEN 'no_key'
      WHEN `dub_keyed`.`place` > 1
      THEN 'superseded'
      ELSE 'new'
    END AS `status`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `first_applied_at`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `last_applied_at`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `dub_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `same_fields`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `outcome`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `code`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `message`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `run`
  FROM `dub_keyed`
)
SELECT
  `raw_0` AS `cell_0`,
  `raw_1` AS `cell_1`,
  `raw_2` AS `cell_2`,
  `status`,
  `copies`,
  `first_applied_at`,
  `last_applied_at`,
  `dub_id`,
  `same_fields`,
  `customer_key`,
  `email`,
  `name`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `run`
FROM `dub_classified`
WHERE
  `status` IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- create 0
CREATE TABLE IF NOT EXISTS `analytics`.`dub_state` (
  `customer_key` VARCHAR(255),
  `email` LONGTEXT,
  `name` LONGTEXT,
  `avatar` LONGTEXT,
  `external_id` LONGTEXT,
  `stripe_customer_id` LONGTEXT,
  `country` LONGTEXT,
  `subscription_canceled_at` LONGTEXT,
  `cleared` LONGTEXT,
  `outcome` VARCHAR(255),
  `code` LONGTEXT,
  `message` LONGTEXT,
  `dub_id` LONGTEXT,
  `first_applied_at` DATETIME(6),
  `last_applied_at` DATETIME(6),
  `last_tried_at` DATETIME(6),
  `run` LONGTEXT
)
DEFAULT CHARACTER SET=utf8mb4
COLLATE=utf8mb4_bin;

-- create 1
CREATE INDEX `dub_state_by_customer_key` ON `analytics`.`dub_state`(`customer_key`);

-- probe
SELECT
  *
FROM `analytics`.`dub_state`
WHERE
  1 = 0;

-- create lease 0
CREATE TABLE IF NOT EXISTS `analytics`.`dub_state_lease` (
  `slot` INT PRIMARY KEY,
  `target` LONGTEXT,
  `task` LONGTEXT,
  `attempt` LONGTEXT,
  `process` LONGTEXT,
  `expires_at` BIGINT,
  `schema_version` INT,
  `previous` LONGTEXT
)
DEFAULT CHARACTER SET=utf8mb4
COLLATE=utf8mb4_bin;

-- clock
SELECT
  UNIX_TIMESTAMP() AS dub_now;

-- read lease
SELECT
  `target`,
  `task`,
  `attempt`,
  `process`,
  `expires_at`,
  `schema_version`,
  `previous`,
  UNIX_TIMESTAMP() AS `dub_now`
FROM `analytics`.`dub_state_lease`;

-- insert lease
INSERT INTO `analytics`.`dub_state_lease` (
  `slot`,
  `target`,
  `task`,
  `attempt`,
  `process`,
  `expires_at`,
  `schema_version`,
  `previous`
)
VALUES
  (1, :p, NULL, NULL, NULL, 0, :p, NULL);

-- acquire lease
UPDATE `analytics`.`dub_state_lease` SET `previous` = COALESCE(`previous`, `attempt`), `task` = :p, `attempt` = :p, `process` = :p, `expires_at` = UNIX_TIMESTAMP() + :p
WHERE
  (
    `task` IS NULL OR `expires_at` < UNIX_TIMESTAMP() OR `attempt` = :p
  )
  AND `target` = :p
  AND `schema_version` <= :p;

-- renew lease
UPDATE `analytics`.`dub_state_lease` SET `task` = :p, `expires_at` = UNIX_TIMESTAMP() + :p
WHERE
  `attempt` = :p AND NOT `task` IS NULL;

-- set version
UPDATE `analytics`.`dub_state_lease` SET `schema_version` = :p
WHERE
  `attempt` = :p;

-- add column
ALTER TABLE `analytics`.`dub_state`
ADD COLUMN `country` LONGTEXT;

-- set pending
UPDATE `analytics`.`dub_state` AS dub_rows
  JOIN (
    WITH `dub_source` AS (
      SELECT
        *
      FROM (
        SELECT
          user_id,
          mail,
          name,
          updated_at
        FROM crm.people
      ) AS `dub_query`
    ), `dub_keyed` AS (
      SELECT
        `dub_source`.`user_id` AS `raw_0`,
        `dub_source`.`mail` AS `raw_1`,
        `dub_source`.`name` AS `raw_2`,
        CASE
          WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
          THEN NULL
          ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
        END AS `customer_key`,
        CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS `email`,
        CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS `name`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
        CONCAT(
          CASE
            WHEN CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) IS NULL
            THEN 'name '
            ELSE ''
          END,
          ''
        ) AS `cleared`,
        COUNT(*) OVER (
          PARTITION BY CAST(CASE
            WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
            THEN NULL
            ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
          END AS BINARY)
        ) AS `copies`,
        ROW_NUMBER() OVER (
          PARTITION BY CAST(CASE
            WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
            THEN NULL
            ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
          END AS BINARY)
          ORDER BY `dub_source`.`updated_at` DESC, CAST(CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC, CAST(CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC
        ) AS `place`
      FROM `dub_source`
    ), `dub_classified` AS (
      SELECT
        `dub_keyed`.*,
        CASE
          WHEN `dub_keyed`.`customer_key` IS NULL
          THEN 'no_key'
          WHEN `dub_keyed`.`place` > 1
          THEN 'superseded'
          WHEN `dub_state`.`customer_key` IS NULL
          THEN 'new'
          WHEN `dub_state`.`outcome` = 'pending'
          THEN 'pending'
          WHEN CASE
            WHEN (
              CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
              OR (
                `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
              OR (
                `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`avatar` AS BINARY) = CAST(`dub_keyed`.`avatar` AS BINARY)
              OR (
                `dub_state`.`avatar` IS NULL AND `dub_keyed`.`avatar` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`external_id` AS BINARY) = CAST(`dub_keyed`.`external_id` AS BINARY)
              OR (
                `dub_state`.`external_id` IS NULL AND `dub_keyed`.`external_id` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`stripe_customer_id` AS BINARY) = CAST(`dub_keyed`.`stripe_customer_id` AS BINARY)
              OR (
                `dub_state`.`stripe_customer_id` IS NULL
                AND `dub_keyed`.`stripe_customer_id` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`country` AS BINARY) = CAST(`dub_keyed`.`country` AS BINARY)
              OR (
                `dub_state`.`country` IS NULL AND `dub_keyed`.`country` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`subscription_canceled_at` AS BINARY) = CAST(`dub_keyed`.`subscription_canceled_at` AS BINARY)
              OR (
                `dub_state`.`subscription_canceled_at` IS NULL
                AND `dub_keyed`.`subscription_canceled_at` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`cleared` AS BINARY) = CAST(`dub_keyed`.`cleared` AS BINARY)
              OR (
                `dub_state`.`cleared` IS NULL AND `dub_keyed`.`cleared` IS NULL
              )
            )
            THEN 1
            ELSE 0
          END = 0
          THEN 'changed'
          WHEN `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
          THEN 'unchanged'
          WHEN `dub_state`.`outcome` IN ('failed', 'rejected')
          THEN 'refused'
          WHEN `dub_state`.`outcome` = 'missing'
          AND `dub_state`.`last_tried_at` < '2026-01-01 00:00:00.000000'
          THEN 'retried'
          WHEN `dub_state`.`outcome` = 'missing'
          THEN 'missing'
          ELSE 'pending'
        END AS `status`,
        CASE
          WHEN (
            (
              `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
              AND `dub_state`.`message` IS NULL
            )
            AND (
              NOT `dub_state`.`dub_id` IS NULL OR `dub_state`.`outcome` = 'baseline'
            )
          )
          OR (
            `dub_state`.`outcome` = 'pending' AND `dub_state`.`code` = 'token'
          )
          THEN CONCAT(
            CASE
              WHEN (
                CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
                OR (
                  `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
                )
              )
              AND (
                `dub_state`.`cleared` = `dub_keyed`.`cleared`
                OR CASE
                  WHEN LOCATE(' email ', CONCAT(' ', `dub_state`.`cleared`)) > 0
                  THEN 1
                  ELSE 0
                END = CASE
                  WHEN LOCATE(' email ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0
                  THEN 1
                  ELSE 0
                END
              )
              THEN 'email '
              ELSE ''
            END,
            CASE
              WHEN (
                CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
                OR (
                  `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
                )
              )
              AND (
                `dub_state`.`cleared` = `dub_keyed`.`cleared`
                OR CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_state`.`cleared`)) > 0 THEN 1 ELSE 0 END = CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0 THEN 1 ELSE 0 END
              )
              THEN 'name '
              ELSE ''
            END,
            ''
          )
          ELSE ''
        END AS `same_fields`,
        `dub_state`.`first_applied_at`,
        `dub_state`.`last_applied_at`,
        `dub_state`.`dub_id`,
        `dub_state`.`outcome`,
        `dub_state`.`code`,
        `dub_state`.`message`,
        `dub_state`.`run`
      FROM `dub_keyed`
      LEFT JOIN `analytics`.`dub_state` AS `dub_state`
        ON `dub_state`.`customer_key` = `dub_keyed`.`customer_key`
        AND CAST(`dub_state`.`customer_key` AS BINARY) = CAST(`dub_keyed`.`customer_key` AS BINARY)
    )
    SELECT
      `customer_key`
    FROM `dub_classified`
    WHERE
      `status` IN ('changed', 'retried', 'refreshed')
  ) AS dub_keys
    ON `dub_rows`.`customer_key` = `dub_keys`.`customer_key`
    AND CAST(`dub_rows`.`customer_key` AS BINARY) = CAST(`dub_keys`.`customer_key` AS BINARY) SET dub_rows.code = CASE
  WHEN (
    `outcome` IN ('updated', 'unchanged', 'baseline') AND `message` IS NULL
  )
  AND (
    NOT `dub_id` IS NULL OR `outcome` = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, dub_rows.outcome = 'pending';

-- set pending, the first
UPDATE `analytics`.`dub_state` AS dub_rows
  JOIN (
    WITH `dub_source` AS (
      SELECT
        *
      FROM (
        SELECT
          user_id,
          mail,
          name,
          updated_at
        FROM crm.people
      ) AS `dub_query`
    ), `dub_keyed` AS (
      SELECT
        `dub_source`.`user_id` AS `raw_0`,
        `dub_source`.`mail` AS `raw_1`,
        `dub_source`.`name` AS `raw_2`,
        CASE
          WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
          THEN NULL
          ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
        END AS `customer_key`,
        CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS `email`,
        CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS `name`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
        CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
        CONCAT(
          CASE
            WHEN CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) IS NULL
            THEN 'name '
            ELSE ''
          END,
          ''
        ) AS `cleared`,
        COUNT(*) OVER (
          PARTITION BY CAST(CASE
            WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
            THEN NULL
            ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
          END AS BINARY)
        ) AS `copies`,
        ROW_NUMBER() OVER (
          PARTITION BY CAST(CASE
            WHEN TRIM(CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)) = ''
            THEN NULL
            ELSE CAST(`dub_source`.`user_id` AS CHAR CHARACTER SET utf8mb4)
          END AS BINARY)
          ORDER BY `dub_source`.`updated_at` DESC, CAST(CAST(`dub_source`.`mail` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC, CAST(CAST(`dub_source`.`name` AS CHAR CHARACTER SET utf8mb4) AS BINARY) DESC
        ) AS `place`
      FROM `dub_source`
    ), `dub_classified` AS (
      SELECT
        `dub_keyed`.*,
        CASE
          WHEN `dub_keyed`.`customer_key` IS NULL
          THEN 'no_key'
          WHEN `dub_keyed`.`place` > 1
          THEN 'superseded'
          WHEN `dub_state`.`customer_key` IS NULL
          THEN 'new'
          WHEN `dub_state`.`outcome` = 'pending'
          THEN 'pending'
          WHEN CASE
            WHEN (
              CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
              OR (
                `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
              OR (
                `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`avatar` AS BINARY) = CAST(`dub_keyed`.`avatar` AS BINARY)
              OR (
                `dub_state`.`avatar` IS NULL AND `dub_keyed`.`avatar` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`external_id` AS BINARY) = CAST(`dub_keyed`.`external_id` AS BINARY)
              OR (
                `dub_state`.`external_id` IS NULL AND `dub_keyed`.`external_id` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`stripe_customer_id` AS BINARY) = CAST(`dub_keyed`.`stripe_customer_id` AS BINARY)
              OR (
                `dub_state`.`stripe_customer_id` IS NULL
                AND `dub_keyed`.`stripe_customer_id` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`country` AS BINARY) = CAST(`dub_keyed`.`country` AS BINARY)
              OR (
                `dub_state`.`country` IS NULL AND `dub_keyed`.`country` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`subscription_canceled_at` AS BINARY) = CAST(`dub_keyed`.`subscription_canceled_at` AS BINARY)
              OR (
                `dub_state`.`subscription_canceled_at` IS NULL
                AND `dub_keyed`.`subscription_canceled_at` IS NULL
              )
            )
            AND (
              CAST(`dub_state`.`cleared` AS BINARY) = CAST(`dub_keyed`.`cleared` AS BINARY)
              OR (
                `dub_state`.`cleared` IS NULL AND `dub_keyed`.`cleared` IS NULL
              )
            )
            THEN 1
            ELSE 0
          END = 0
          THEN 'changed'
          WHEN `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
          THEN 'unchanged'
          WHEN `dub_state`.`outcome` IN ('failed', 'rejected')
          THEN 'refused'
          WHEN `dub_state`.`outcome` = 'missing'
          AND `dub_state`.`last_tried_at` < '2026-01-01 00:00:00.000000'
          THEN 'retried'
          WHEN `dub_state`.`outcome` = 'missing'
          THEN 'missing'
          ELSE 'pending'
        END AS `status`,
        CASE
          WHEN (
            (
              `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
              AND `dub_state`.`message` IS NULL
            )
            AND (
              NOT `dub_state`.`dub_id` IS NULL OR `dub_state`.`outcome` = 'baseline'
            )
          )
          OR (
            `dub_state`.`outcome` = 'pending' AND `dub_state`.`code` = 'token'
          )
          THEN CONCAT(
            CASE
              WHEN (
                CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
                OR (
                  `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
                )
              )
              AND (
                `dub_state`.`cleared` = `dub_keyed`.`cleared`
                OR CASE
                  WHEN LOCATE(' email ', CONCAT(' ', `dub_state`.`cleared`)) > 0
                  THEN 1
                  ELSE 0
                END = CASE
                  WHEN LOCATE(' email ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0
                  THEN 1
                  ELSE 0
                END
              )
              THEN 'email '
              ELSE ''
            END,
            CASE
              WHEN (
                CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
                OR (
                  `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
                )
              )
              AND (
                `dub_state`.`cleared` = `dub_keyed`.`cleared`
                OR CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_state`.`cleared`)) > 0 THEN 1 ELSE 0 END = CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0 THEN 1 ELSE 0 END
              )
              THEN 'name '
              ELSE ''
            END,
            ''
          )
          ELSE ''
        END AS `same_fields`,
        `dub_state`.`first_applied_at`,
        `dub_state`.`last_applied_at`,
        `dub_state`.`dub_id`,
        `dub_state`.`outcome`,
        `dub_state`.`code`,
        `dub_state`.`message`,
        `dub_state`.`run`
      FROM `dub_keyed`
      LEFT JOIN `analytics`.`dub_state` AS `dub_state`
        ON `dub_state`.`customer_key` = `dub_keyed`.`customer_key`
        AND CAST(`dub_state`.`customer_key` AS BINARY) = CAST(`dub_keyed`.`customer_key` AS BINARY)
    )
    SELECT
      `customer_key`
    FROM (
      SELECT
        `customer_key`,
        `status`
      FROM `dub_classified`
      WHERE
        `status` IN ('new', 'changed', 'pending', 'retried', 'refreshed')
      ORDER BY
        CASE WHEN CAST(`customer_key` AS BINARY) IS NULL THEN 1 ELSE 0 END,
        CAST(`customer_key` AS BINARY)
      LIMIT 10
    ) AS `dub_first`
    WHERE
      `status` IN ('changed', 'retried', 'refreshed')
  ) AS dub_keys
    ON `dub_rows`.`customer_key` = `dub_keys`.`customer_key`
    AND CAST(`dub_rows`.`customer_key` AS BINARY) = CAST(`dub_keys`.`customer_key` AS BINARY) SET dub_rows.code = CASE
  WHEN (
    `outcome` IN ('updated', 'unchanged', 'baseline') AND `message` IS NULL
  )
  AND (
    NOT `dub_id` IS NULL OR `outcome` = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, dub_rows.outcome = 'pending';

-- append
INSERT INTO `analytics`.`dub_state_history` (
  `customer_key`,
  `email`,
  `name`,
  `avatar`,
  `external_id`,
  `stripe_customer_id`,
  `country`,
  `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `dub_id`,
  `first_applied_at`,
  `last_applied_at`,
  `last_tried_at`,
  `run`,
  `attempt`
)
VALUES
  (:p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p),
  (:p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p, :p);

-- merge 0
DELETE   dub_rows FROM `analytics`.`dub_state` AS dub_rows
  JOIN (
    SELECT DISTINCT
      `customer_key`
    FROM `analytics`.`dub_state_history`
    WHERE
      `attempt` = :p
  ) AS dub_keys
    ON `dub_rows`.`customer_key` = `dub_keys`.`customer_key`
    AND CAST(`dub_rows`.`customer_key` AS BINARY) = CAST(`dub_keys`.`customer_key` AS BINARY);

-- merge 1
INSERT INTO `analytics`.`dub_state` (
  `customer_key`,
  `email`,
  `name`,
  `avatar`,
  `external_id`,
  `stripe_customer_id`,
  `country`,
  `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `dub_id`,
  `first_applied_at`,
  `last_applied_at`,
  `last_tried_at`,
  `run`
)
SELECT
  `customer_key`,
  `email`,
  `name`,
  `avatar`,
  `external_id`,
  `stripe_customer_id`,
  `country`,
  `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `dub_id`,
  `first_applied_at`,
  `last_applied_at`,
  `last_tried_at`,
  `run`
FROM (
  SELECT
    `customer_key`,
    `email`,
    `name`,
    `avatar`,
    `external_id`,
    `stripe_customer_id`,
    `country`,
    `subscription_canceled_at`,
    `cleared`,
    `outcome`,
    `code`,
    `message`,
    `dub_id`,
    `first_applied_at`,
    `last_applied_at`,
    `last_tried_at`,
    `run`,
    ROW_NUMBER() OVER (PARTITION BY CAST(`customer_key` AS BINARY) ORDER BY `last_tried_at` DESC) AS `place`
  FROM `analytics`.`dub_state_history`
  WHERE
    `attempt` = :p
) AS `dub_lines`
WHERE
  `place` = 1;

-- set merged
UPDATE `analytics`.`dub_state_lease` SET `previous` = NULL
WHERE
  `attempt` = :p;

-- end lease
UPDATE `analytics`.`dub_state_lease` SET `task` = NULL, `attempt` = NULL
WHERE
  `attempt` = :p;

-- read check lines
SELECT
  `customer_key`,
  `email`,
  `name`,
  `avatar`,
  `external_id`,
  `stripe_customer_id`,
  `country`,
  `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `dub_id`,
  `run`,
  (
    SELECT
      CAST(MIN(`last_tried_at`) AS CHAR CHARACTER SET utf8mb4)
    FROM `analytics`.`dub_state_history`
    WHERE
      `attempt` <> :p
  ) AS `oldest`
FROM `analytics`.`dub_state`
WHERE
  `customer_key` IN (:p, :p);

-- repeated keys
SELECT
  COUNT(*) AS `repeated`
FROM (
  SELECT
    CAST(`customer_key` AS BINARY) AS `dub_key`
  FROM `analytics`.`dub_state`
  GROUP BY
    CAST(`customer_key` AS BINARY)
  HAVING
    COUNT(*) > 1
) AS `dub_repeated`;

-- find check lines
SELECT
  `customer_key`
FROM `analytics`.`dub_state`
WHERE
  `customer_key` IN (:p, :p);

-- set none pending
UPDATE `analytics`.`dub_state` SET `code` = NULL, `outcome` = 'pending'
WHERE
  1 = 0;

-- delete attempt
DELETE FROM `analytics`.`dub_state_history`
WHERE
  `attempt` = :p;

-- prune
DELETE FROM `analytics`.`dub_state_history`
WHERE
  `last_tried_at` < '2026-01-01 00:00:00.000000';

-- create staging 0
CREATE TABLE IF NOT EXISTS `analytics`.`dub_state_staging` (
  `position` BIGINT,
  `customer_key` LONGTEXT,
  `email` LONGTEXT,
  `name` LONGTEXT,
  `avatar` LONGTEXT,
  `external_id` LONGTEXT,
  `stripe_customer_id` LONGTEXT,
  `country` LONGTEXT,
  `subscription_canceled_at` LONGTEXT,
  `cleared` LONGTEXT,
  `latest` LONGTEXT,
  `attempt` VARCHAR(255)
)
DEFAULT CHARACTER SET=utf8mb4
COLLATE=utf8mb4_bin;

-- probe staging
SELECT
  *
FROM `analytics`.`dub_state_staging`
WHERE
  1 = 0;

-- drop staging
DROP TABLE `analytics`.`dub_state_staging`;

-- delete staged
DELETE FROM `analytics`.`dub_state_staging`
WHERE
  `attempt` = :p;

-- delete staged by others
DELETE FROM `analytics`.`dub_state_staging`
WHERE
  `attempt` <> :p;

-- counts of staged rows
WITH `dub_keyed` AS (
  SELECT
    `dub_staged`.`position`,
    `dub_staged`.`customer_key`,
    `dub_staged`.`email`,
    `dub_staged`.`name`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
    `dub_staged`.`cleared`,
    COUNT(*) OVER (PARTITION BY CAST(`dub_staged`.`customer_key` AS BINARY)) AS `copies`,
    ROW_NUMBER() OVER (
      PARTITION BY CAST(`dub_staged`.`customer_key` AS BINARY)
      ORDER BY CAST(`dub_staged`.`latest` AS BINARY) DESC, CAST(`dub_staged`.`email` AS BINARY) DESC, CAST(`dub_staged`.`name` AS BINARY) DESC
    ) AS `place`
  FROM `analytics`.`dub_state_staging` AS `dub_staged`
  WHERE
    `dub_staged`.`attempt` = 'token'
), `dub_classified` AS (
  SELECT
    `dub_keyed`.*,
    CASE
      WHEN `dub_keyed`.`customer_key` IS NULL
      THEN 'no_key'
      WHEN `dub_keyed`.`place` > 1
      THEN 'superseded'
      WHEN `dub_state`.`customer_key` IS NULL
      THEN 'new'
      WHEN `dub_state`.`outcome` = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
          OR (
            `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
          OR (
            `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`avatar` AS BINARY) = CAST(`dub_keyed`.`avatar` AS BINARY)
          OR (
            `dub_state`.`avatar` IS NULL AND `dub_keyed`.`avatar` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`external_id` AS BINARY) = CAST(`dub_keyed`.`external_id` AS BINARY)
          OR (
            `dub_state`.`external_id` IS NULL AND `dub_keyed`.`external_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`stripe_customer_id` AS BINARY) = CAST(`dub_keyed`.`stripe_customer_id` AS BINARY)
          OR (
            `dub_state`.`stripe_customer_id` IS NULL
            AND `dub_keyed`.`stripe_customer_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`country` AS BINARY) = CAST(`dub_keyed`.`country` AS BINARY)
          OR (
            `dub_state`.`country` IS NULL AND `dub_keyed`.`country` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`subscription_canceled_at` AS BINARY) = CAST(`dub_keyed`.`subscription_canceled_at` AS BINARY)
          OR (
            `dub_state`.`subscription_canceled_at` IS NULL
            AND `dub_keyed`.`subscription_canceled_at` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`cleared` AS BINARY) = CAST(`dub_keyed`.`cleared` AS BINARY)
          OR (
            `dub_state`.`cleared` IS NULL AND `dub_keyed`.`cleared` IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN `dub_state`.`outcome` IN ('failed', 'rejected')
      THEN 'refused'
      WHEN `dub_state`.`outcome` = 'missing'
      AND `dub_state`.`last_tried_at` < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN `dub_state`.`outcome` = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS `status`,
    CASE
      WHEN (
        (
          `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
          AND `dub_state`.`message` IS NULL
        )
        AND (
          NOT `dub_state`.`dub_id` IS NULL OR `dub_state`.`outcome` = 'baseline'
        )
      )
      OR (
        `dub_state`.`outcome` = 'pending' AND `dub_state`.`code` = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
            OR (
              `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_state`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
            OR (
              `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_state`.`cleared`)) > 0 THEN 1 ELSE 0 END = CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0 THEN 1 ELSE 0 END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS `same_fields`,
    `dub_state`.`first_applied_at`,
    `dub_state`.`last_applied_at`,
    `dub_state`.`dub_id`,
    `dub_state`.`outcome`,
    `dub_state`.`code`,
    `dub_state`.`message`,
    `dub_state`.`run`
  FROM `dub_keyed`
  LEFT JOIN `analytics`.`dub_state` AS `dub_state`
    ON `dub_state`.`customer_key` = `dub_keyed`.`customer_key`
    AND CAST(`dub_state`.`customer_key` AS BINARY) = CAST(`dub_keyed`.`customer_key` AS BINARY)
)
SELECT
  `status`,
  COUNT(*) AS `rows_of_it`,
  COUNT(`dub_id`) AS `with_dub_id`,
  0 AS `surplus`
FROM `dub_classified`
GROUP BY
  `status`;

-- rows of staged rows
WITH `dub_keyed` AS (
  SELECT
    `dub_staged`.`position`,
    `dub_staged`.`customer_key`,
    `dub_staged`.`email`,
    `dub_staged`.`name`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
    CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
    `dub_staged`.`cleared`,
    COUNT(*) OVER (PARTITION BY CAST(`dub_staged`.`customer_key` AS BINARY)) AS `copies`,
    ROW_NUMBER() OVER (
      PARTITION BY CAST(`dub_staged`.`customer_key` AS BINARY)
      ORDER BY CAST(`dub_staged`.`latest` AS BINARY) DESC, CAST(`dub_staged`.`email` AS BINARY) DESC, CAST(`dub_staged`.`name` AS BINARY) DESC
    ) AS `place`
  FROM `analytics`.`dub_state_staging` AS `dub_staged`
  WHERE
    `dub_staged`.`attempt` = 'token'
), `dub_classified` AS (
  SELECT
    `dub_keyed`.*,
    CASE
      WHEN `dub_keyed`.`customer_key` IS NULL
      THEN 'no_key'
      WHEN `dub_keyed`.`place` > 1
      THEN 'superseded'
      WHEN `dub_state`.`customer_key` IS NULL
      THEN 'new'
      WHEN `dub_state`.`outcome` = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
          OR (
            `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
          OR (
            `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`avatar` AS BINARY) = CAST(`dub_keyed`.`avatar` AS BINARY)
          OR (
            `dub_state`.`avatar` IS NULL AND `dub_keyed`.`avatar` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`external_id` AS BINARY) = CAST(`dub_keyed`.`external_id` AS BINARY)
          OR (
            `dub_state`.`external_id` IS NULL AND `dub_keyed`.`external_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`stripe_customer_id` AS BINARY) = CAST(`dub_keyed`.`stripe_customer_id` AS BINARY)
          OR (
            `dub_state`.`stripe_customer_id` IS NULL
            AND `dub_keyed`.`stripe_customer_id` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`country` AS BINARY) = CAST(`dub_keyed`.`country` AS BINARY)
          OR (
            `dub_state`.`country` IS NULL AND `dub_keyed`.`country` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`subscription_canceled_at` AS BINARY) = CAST(`dub_keyed`.`subscription_canceled_at` AS BINARY)
          OR (
            `dub_state`.`subscription_canceled_at` IS NULL
            AND `dub_keyed`.`subscription_canceled_at` IS NULL
          )
        )
        AND (
          CAST(`dub_state`.`cleared` AS BINARY) = CAST(`dub_keyed`.`cleared` AS BINARY)
          OR (
            `dub_state`.`cleared` IS NULL AND `dub_keyed`.`cleared` IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN `dub_state`.`outcome` IN ('failed', 'rejected')
      THEN 'refused'
      WHEN `dub_state`.`outcome` = 'missing'
      AND `dub_state`.`last_tried_at` < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN `dub_state`.`outcome` = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS `status`,
    CASE
      WHEN (
        (
          `dub_state`.`outcome` IN ('updated', 'unchanged', 'baseline')
          AND `dub_state`.`message` IS NULL
        )
        AND (
          NOT `dub_state`.`dub_id` IS NULL OR `dub_state`.`outcome` = 'baseline'
        )
      )
      OR (
        `dub_state`.`outcome` = 'pending' AND `dub_state`.`code` = 'token'
      )
      THEN CONCAT(
        CASE
          WHEN (
            CAST(`dub_state`.`email` AS BINARY) = CAST(`dub_keyed`.`email` AS BINARY)
            OR (
              `dub_state`.`email` IS NULL AND `dub_keyed`.`email` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_state`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END = CASE
              WHEN LOCATE(' email ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0
              THEN 1
              ELSE 0
            END
          )
          THEN 'email '
          ELSE ''
        END,
        CASE
          WHEN (
            CAST(`dub_state`.`name` AS BINARY) = CAST(`dub_keyed`.`name` AS BINARY)
            OR (
              `dub_state`.`name` IS NULL AND `dub_keyed`.`name` IS NULL
            )
          )
          AND (
            `dub_state`.`cleared` = `dub_keyed`.`cleared`
            OR CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_state`.`cleared`)) > 0 THEN 1 ELSE 0 END = CASE WHEN LOCATE(' name ', CONCAT(' ', `dub_keyed`.`cleared`)) > 0 THEN 1 ELSE 0 END
          )
          THEN 'name '
          ELSE ''
        END,
        ''
      )
      ELSE ''
    END AS `same_fields`,
    `dub_state`.`first_applied_at`,
    `dub_state`.`last_applied_at`,
    `dub_state`.`dub_id`,
    `dub_state`.`outcome`,
    `dub_state`.`code`,
    `dub_state`.`message`,
    `dub_state`.`run`
  FROM `dub_keyed`
  LEFT JOIN `analytics`.`dub_state` AS `dub_state`
    ON `dub_state`.`customer_key` = `dub_keyed`.`customer_key`
    AND CAST(`dub_state`.`customer_key` AS BINARY) = CAST(`dub_keyed`.`customer_key` AS BINARY)
)
SELECT
  `position` AS `cell_0`,
  `status`,
  `copies`,
  CAST(`first_applied_at` AS CHAR CHARACTER SET utf8mb4) AS `first_applied_at`,
  CAST(`last_applied_at` AS CHAR CHARACTER SET utf8mb4) AS `last_applied_at`,
  `dub_id`,
  `same_fields`,
  `customer_key`,
  `email`,
  `name`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `avatar`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `external_id`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `stripe_customer_id`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `country`,
  CAST(NULL AS CHAR CHARACTER SET utf8mb4) AS `subscription_canceled_at`,
  `cleared`,
  `outcome`,
  `code`,
  `message`,
  `run`
FROM `dub_classified`
WHERE
  `status` IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate')
ORDER BY
  `position`;

-- read state
SELECT
  `customer_key`,
  CAST(`last_tried_at` AS CHAR CHARACTER SET utf8mb4) AS `last_tried_at`
FROM `analytics`.`dub_state`;

-- create history 0
CREATE TABLE IF NOT EXISTS `analytics`.`dub_state_history` (
  `customer_key` VARCHAR(255),
  `email` LONGTEXT,
  `name` LONGTEXT,
  `avatar` LONGTEXT,
  `external_id` LONGTEXT,
  `stripe_customer_id` LONGTEXT,
  `country` LONGTEXT,
  `subscription_canceled_at` LONGTEXT,
  `cleared` LONGTEXT,
  `outcome` VARCHAR(255),
  `code` LONGTEXT,
  `message` LONGTEXT,
  `dub_id` LONGTEXT,
  `first_applied_at` DATETIME(6),
  `last_applied_at` DATETIME(6),
  `last_tried_at` DATETIME(6),
  `run` LONGTEXT,
  `attempt` VARCHAR(255)
)
DEFAULT CHARACTER SET=utf8mb4
COLLATE=utf8mb4_bin;

-- create history 1
CREATE INDEX `dub_state_history_by_attempt` ON `analytics`.`dub_state_history`(`attempt`);

