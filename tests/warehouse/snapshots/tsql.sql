-- columns
WITH [dub_source] AS (
  SELECT
    *
  FROM (
    SELECT
      user_id AS user_id,
      mail AS mail,
      name AS name,
      updated_at AS updated_at
    FROM crm.people
  ) AS [dub_query]
)
SELECT
  *
FROM [dub_source]
WHERE
  1 = 0;

-- counts
WITH [dub_source] AS (
  SELECT
    *
  FROM (
    SELECT
      user_id AS user_id,
      mail AS mail,
      name AS name,
      updated_at AS updated_at
    FROM crm.people
  ) AS [dub_query]
), [dub_keyed] AS (
  SELECT
    [dub_source].[user_id] AS [raw_0],
    [dub_source].[mail] AS [raw_1],
    [dub_source].[name] AS [raw_2],
    CASE
      WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
      THEN NULL
      ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
    END AS [customer_key],
    CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS [email],
    CAST([dub_source].[name] AS NVARCHAR(MAX)) AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    CASE
      WHEN CAST([dub_source].[name] AS NVARCHAR(MAX)) IS NULL
      THEN 'name '
      ELSE ''
    END + '' AS [cleared],
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
    ) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
      ORDER BY [dub_source].[updated_at] DESC, CAST(CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC, CAST(CAST([dub_source].[name] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [dub_source]
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      WHEN [dub_state].[customer_key] IS NULL
      THEN 'new'
      WHEN [dub_state].[outcome] = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          CAST([dub_state].[avatar] AS VARBINARY(MAX)) = CAST([dub_keyed].[avatar] AS VARBINARY(MAX))
          OR (
            [dub_state].[avatar] IS NULL AND [dub_keyed].[avatar] IS NULL
          )
        )
        AND (
          CAST([dub_state].[external_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[external_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[external_id] IS NULL AND [dub_keyed].[external_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[stripe_customer_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[stripe_customer_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[stripe_customer_id] IS NULL
            AND [dub_keyed].[stripe_customer_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[country] AS VARBINARY(MAX)) = CAST([dub_keyed].[country] AS VARBINARY(MAX))
          OR (
            [dub_state].[country] IS NULL AND [dub_keyed].[country] IS NULL
          )
        )
        AND (
          CAST([dub_state].[subscription_canceled_at] AS VARBINARY(MAX)) = CAST([dub_keyed].[subscription_canceled_at] AS VARBINARY(MAX))
          OR (
            [dub_state].[subscription_canceled_at] IS NULL
            AND [dub_keyed].[subscription_canceled_at] IS NULL
          )
        )
        AND (
          CAST([dub_state].[cleared] AS VARBINARY(MAX)) = CAST([dub_keyed].[cleared] AS VARBINARY(MAX))
          OR (
            [dub_state].[cleared] IS NULL AND [dub_keyed].[cleared] IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN [dub_state].[outcome] IN ('failed', 'rejected')
      THEN 'refused'
      WHEN [dub_state].[outcome] = 'missing'
      AND [dub_state].[last_tried_at] < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN [dub_state].[outcome] = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS [status],
    CASE
      WHEN (
        (
          [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
          AND [dub_state].[message] IS NULL
        )
        AND (
          NOT [dub_state].[dub_id] IS NULL OR [dub_state].[outcome] = 'baseline'
        )
      )
      OR (
        [dub_state].[outcome] = 'pending' AND [dub_state].[code] = 'token'
      )
      THEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' email ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' email ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END + CASE
        WHEN (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' name ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' name ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END + ''
      ELSE ''
    END AS [same_fields],
    [dub_state].[first_applied_at] AS [first_applied_at],
    [dub_state].[last_applied_at] AS [last_applied_at],
    [dub_state].[dub_id] AS [dub_id],
    [dub_state].[outcome] AS [outcome],
    [dub_state].[code] AS [code],
    [dub_state].[message] AS [message],
    [dub_state].[run] AS [run]
  FROM [dub_keyed]
  LEFT JOIN [analytics].[dub_state] AS [dub_state]
    ON [dub_state].[customer_key] = [dub_keyed].[customer_key]
    AND CAST([dub_state].[customer_key] AS VARBINARY(MAX)) = CAST([dub_keyed].[customer_key] AS VARBINARY(MAX))
)
SELECT
  [status],
  COUNT(*) AS [rows_of_it],
  COUNT([dub_id]) AS [with_dub_id],
  0 AS [surplus]
FROM [dub_classified]
GROUP BY
  [status];

-- rows
WITH [dub_source] AS (
  SELECT
    *
  FROM (
    SELECT
      user_id AS user_id,
      mail AS mail,
      name AS name,
      updated_at AS updated_at
    FROM crm.people
  ) AS [dub_query]
), [dub_keyed] AS (
  SELECT
    [dub_source].[user_id] AS [raw_0],
    [dub_source].[mail] AS [raw_1],
    [dub_source].[name] AS [raw_2],
    CASE
      WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
      THEN NULL
      ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
    END AS [customer_key],
    CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS [email],
    CAST([dub_source].[name] AS NVARCHAR(MAX)) AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    CASE
      WHEN CAST([dub_source].[name] AS NVARCHAR(MAX)) IS NULL
      THEN 'name '
      ELSE ''
    END + '' AS [cleared],
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
    ) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
      ORDER BY [dub_source].[updated_at] DESC, CAST(CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC, CAST(CAST([dub_source].[name] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [dub_source]
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      WHEN [dub_state].[customer_key] IS NULL
      THEN 'new'
      WHEN [dub_state].[outcome] = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          CAST([dub_state].[avatar] AS VARBINARY(MAX)) = CAST([dub_keyed].[avatar] AS VARBINARY(MAX))
          OR (
            [dub_state].[avatar] IS NULL AND [dub_keyed].[avatar] IS NULL
          )
        )
        AND (
          CAST([dub_state].[external_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[external_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[external_id] IS NULL AND [dub_keyed].[external_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[stripe_customer_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[stripe_customer_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[stripe_customer_id] IS NULL
            AND [dub_keyed].[stripe_customer_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[country] AS VARBINARY(MAX)) = CAST([dub_keyed].[country] AS VARBINARY(MAX))
          OR (
            [dub_state].[country] IS NULL AND [dub_keyed].[country] IS NULL
          )
        )
        AND (
          CAST([dub_state].[subscription_canceled_at] AS VARBINARY(MAX)) = CAST([dub_keyed].[subscription_canceled_at] AS VARBINARY(MAX))
          OR (
            [dub_state].[subscription_canceled_at] IS NULL
            AND [dub_keyed].[subscription_canceled_at] IS NULL
          )
        )
        AND (
          CAST([dub_state].[cleared] AS VARBINARY(MAX)) = CAST([dub_keyed].[cleared] AS VARBINARY(MAX))
          OR (
            [dub_state].[cleared] IS NULL AND [dub_keyed].[cleared] IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN [dub_state].[outcome] IN ('failed', 'rejected')
      THEN 'refused'
      WHEN [dub_state].[outcome] = 'missing'
      AND [dub_state].[last_tried_at] < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN [dub_state].[outcome] = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS [status],
    CASE
      WHEN (
        (
          [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
          AND [dub_state].[message] IS NULL
        )
        AND (
          NOT [dub_state].[dub_id] IS NULL OR [dub_state].[outcome] = 'baseline'
        )
      )
      OR (
        [dub_state].[outcome] = 'pending' AND [dub_state].[code] = 'token'
      )
      THEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' email ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' email ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END + CASE
        WHEN (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' name ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' name ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END + ''
      ELSE ''
    END AS [same_fields],
    [dub_state].[first_applied_at] AS [first_applied_at],
    [dub_state].[last_applied_at] AS [last_applied_at],
    [dub_state].[dub_id] AS [dub_id],
    [dub_state].[outcome] AS [outcome],
    [dub_state].[code] AS [code],
    [dub_state].[message] AS [message],
    [dub_state].[run] AS [run]
  FROM [dub_keyed]
  LEFT JOIN [analytics].[dub_state] AS [dub_state]
    ON [dub_state].[customer_key] = [dub_keyed].[customer_key]
    AND CAST([dub_state].[customer_key] AS VARBINARY(MAX)) = CAST([dub_keyed].[customer_key] AS VARBINARY(MAX))
)
SELECT
  [raw_0] AS [cell_0],
  [raw_1] AS [cell_1],
  [raw_2] AS [cell_2],
  [status],
  [copies],
  CAST([first_applied_at] AS NVARCHAR(MAX)) AS [first_applied_at],
  CAST([last_applied_at] AS NVARCHAR(MAX)) AS [last_applied_at],
  [dub_id],
  [same_fields],
  [customer_key],
  [email],
  [name],
  CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
  CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
  CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
  CAST(NULL AS NVARCHAR(MAX)) AS [country],
  CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [run]
FROM [dub_classified]
WHERE
  [status] IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- rows without a state table
WITH [dub_source] AS (
  SELECT
    *
  FROM (
    SELECT
      user_id AS user_id,
      mail AS mail,
      name AS name,
      updated_at AS updated_at
    FROM crm.people
  ) AS [dub_query]
), [dub_keyed] AS (
  SELECT
    [dub_source].[user_id] AS [raw_0],
    [dub_source].[mail] AS [raw_1],
    [dub_source].[name] AS [raw_2],
    CASE
      WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
      THEN NULL
      ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
    END AS [customer_key],
    CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS [email],
    CAST([dub_source].[name] AS NVARCHAR(MAX)) AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    CASE
      WHEN CAST([dub_source].[name] AS NVARCHAR(MAX)) IS NULL
      THEN 'name '
      ELSE ''
    END + '' AS [cleared],
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
    ) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
      ORDER BY [dub_source].[updated_at] DESC, CAST(CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC, CAST(CAST([dub_source].[name] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [dub_source]
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      ELSE 'new'
    END AS [status],
    CAST(NULL AS NVARCHAR(MAX)) AS [first_applied_at],
    CAST(NULL AS NVARCHAR(MAX)) AS [last_applied_at],
    CAST(NULL AS NVARCHAR(MAX)) AS [dub_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [same_fields],
    CAST(NULL AS NVARCHAR(MAX)) AS [outcome],
    CAST(NULL AS NVARCHAR(MAX)) AS [code],
    CAST(NULL AS NVARCHAR(MAX)) AS [message],
    CAST(NULL AS NVARCHAR(MAX)) AS [run]
  FROM [dub_keyed]
)
SELECT
  [raw_0] AS [cell_0],
  [raw_1] AS [cell_1],
  [raw_2] AS [cell_2],
  [status],
  [copies],
  [first_applied_at],
  [last_applied_at],
  [dub_id],
  [same_fields],
  [customer_key],
  [email],
  [name],
  CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
  CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
  CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
  CAST(NULL AS NVARCHAR(MAX)) AS [country],
  CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [run]
FROM [dub_classified]
WHERE
  [status] IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate');

-- create 0
IF NOT EXISTS(
  SELECT
    *
  FROM INFORMATION_SCHEMA.TABLES
  WHERE
    TABLE_NAME = 'dub_state' AND TABLE_SCHEMA = 'analytics'
) AS EXEC BEGIN (
  'CREATE TABLE [analytics].[dub_state] ([customer_key] NVARCHAR(255), [email] NVARCHAR(MAX), [name] NVARCHAR(MAX), [avatar] NVARCHAR(MAX), [external_id] NVARCHAR(MAX), [stripe_customer_id] NVARCHAR(MAX), [country] NVARCHAR(MAX), [subscription_canceled_at] NVARCHAR(MAX), [cleared] NVARCHAR(MAX), [outcome] NVARCHAR(255), [code] NVARCHAR(MAX), [message] NVARCHAR(MAX), [dub_id] NVARCHAR(MAX), [first_applied_at] DATETIME2, [last_applied_at] DATETIME2, [last_tried_at] DATETIME2, [run] NVARCHAR(MAX))'
);

-- create 1
CREATE INDEX [dub_state_by_customer_key] ON [analytics].[dub_state]([customer_key]);

-- probe
SELECT
  *
FROM [analytics].[dub_state]
WHERE
  1 = 0;

-- create lease 0
IF NOT EXISTS(
  SELECT
    *
  FROM INFORMATION_SCHEMA.TABLES
  WHERE
    TABLE_NAME = 'dub_state_lease' AND TABLE_SCHEMA = 'analytics'
) AS EXEC BEGIN (
  'CREATE TABLE [analytics].[dub_state_lease] ([slot] INTEGER PRIMARY KEY, [target] NVARCHAR(MAX), [task] NVARCHAR(MAX), [attempt] NVARCHAR(MAX), [process] NVARCHAR(MAX), [expires_at] BIGINT, [schema_version] INTEGER, [previous] NVARCHAR(MAX))'
);

-- clock
SELECT
  DATEDIFF_BIG(SECOND, CAST('1970-01-01' AS DATETIME2), CAST(SYSUTCDATETIME() AS DATETIME2)) AS dub_now;

-- read lease
SELECT
  [target],
  [task],
  [attempt],
  [process],
  [expires_at],
  [schema_version],
  [previous],
  DATEDIFF_BIG(SECOND, CAST('1970-01-01' AS DATETIME2), CAST(SYSUTCDATETIME() AS DATETIME2)) AS [dub_now]
FROM [analytics].[dub_state_lease];

-- insert lease
INSERT INTO [analytics].[dub_state_lease] (
  [slot],
  [target],
  [task],
  [attempt],
  [process],
  [expires_at],
  [schema_version],
  [previous]
)
VALUES
  (1, :p, NULL, NULL, NULL, 0, :p, NULL);

-- acquire lease
UPDATE [analytics].[dub_state_lease] SET [previous] = COALESCE([previous], [attempt]), [task] = :p, [attempt] = :p, [process] = :p, [expires_at] = DATEDIFF_BIG(SECOND, CAST('1970-01-01' AS DATETIME2), CAST(SYSUTCDATETIME() AS DATETIME2)) + :p
WHERE
  (
    [task] IS NULL
    OR [expires_at] < DATEDIFF_BIG(SECOND, CAST('1970-01-01' AS DATETIME2), CAST(SYSUTCDATETIME() AS DATETIME2))
    OR [attempt] = :p
  )
  AND [target] = :p
  AND [schema_version] <= :p;

-- renew lease
UPDATE [analytics].[dub_state_lease] SET [task] = :p, [expires_at] = DATEDIFF_BIG(SECOND, CAST('1970-01-01' AS DATETIME2), CAST(SYSUTCDATETIME() AS DATETIME2)) + :p
WHERE
  [attempt] = :p AND NOT [task] IS NULL;

-- set version
UPDATE [analytics].[dub_state_lease] SET [schema_version] = :p
WHERE
  [attempt] = :p;

-- add column
ALTER TABLE [analytics].[dub_state]
ADD [country] NVARCHAR(MAX);

-- set pending
WITH [dub_source] AS (
  SELECT
    *
  FROM (
    SELECT
      user_id AS user_id,
      mail AS mail,
      name AS name,
      updated_at AS updated_at
    FROM crm.people
  ) AS [dub_query]
), [dub_keyed] AS (
  SELECT
    [dub_source].[user_id] AS [raw_0],
    [dub_source].[mail] AS [raw_1],
    [dub_source].[name] AS [raw_2],
    CASE
      WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
      THEN NULL
      ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
    END AS [customer_key],
    CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS [email],
    CAST([dub_source].[name] AS NVARCHAR(MAX)) AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    CASE
      WHEN CAST([dub_source].[name] AS NVARCHAR(MAX)) IS NULL
      THEN 'name '
      ELSE ''
    END + '' AS [cleared],
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
    ) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
      ORDER BY [dub_source].[updated_at] DESC, CAST(CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC, CAST(CAST([dub_source].[name] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [dub_source]
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      WHEN [dub_state].[customer_key] IS NULL
      THEN 'new'
      WHEN [dub_state].[outcome] = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          CAST([dub_state].[avatar] AS VARBINARY(MAX)) = CAST([dub_keyed].[avatar] AS VARBINARY(MAX))
          OR (
            [dub_state].[avatar] IS NULL AND [dub_keyed].[avatar] IS NULL
          )
        )
        AND (
          CAST([dub_state].[external_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[external_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[external_id] IS NULL AND [dub_keyed].[external_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[stripe_customer_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[stripe_customer_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[stripe_customer_id] IS NULL
            AND [dub_keyed].[stripe_customer_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[country] AS VARBINARY(MAX)) = CAST([dub_keyed].[country] AS VARBINARY(MAX))
          OR (
            [dub_state].[country] IS NULL AND [dub_keyed].[country] IS NULL
          )
        )
        AND (
          CAST([dub_state].[subscription_canceled_at] AS VARBINARY(MAX)) = CAST([dub_keyed].[subscription_canceled_at] AS VARBINARY(MAX))
          OR (
            [dub_state].[subscription_canceled_at] IS NULL
            AND [dub_keyed].[subscription_canceled_at] IS NULL
          )
        )
        AND (
          CAST([dub_state].[cleared] AS VARBINARY(MAX)) = CAST([dub_keyed].[cleared] AS VARBINARY(MAX))
          OR (
            [dub_state].[cleared] IS NULL AND [dub_keyed].[cleared] IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN [dub_state].[outcome] IN ('failed', 'rejected')
      THEN 'refused'
      WHEN [dub_state].[outcome] = 'missing'
      AND [dub_state].[last_tried_at] < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN [dub_state].[outcome] = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS [status],
    CASE
      WHEN (
        (
          [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
          AND [dub_state].[message] IS NULL
        )
        AND (
          NOT [dub_state].[dub_id] IS NULL OR [dub_state].[outcome] = 'baseline'
        )
      )
      OR (
        [dub_state].[outcome] = 'pending' AND [dub_state].[code] = 'token'
      )
      THEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' email ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' email ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END + CASE
        WHEN (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' name ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' name ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END + ''
      ELSE ''
    END AS [same_fields],
    [dub_state].[first_applied_at] AS [first_applied_at],
    [dub_state].[last_applied_at] AS [last_applied_at],
    [dub_state].[dub_id] AS [dub_id],
    [dub_state].[outcome] AS [outcome],
    [dub_state].[code] AS [code],
    [dub_state].[message] AS [message],
    [dub_state].[run] AS [run]
  FROM [dub_keyed]
  LEFT JOIN [analytics].[dub_state] AS [dub_state]
    ON [dub_state].[customer_key] = [dub_keyed].[customer_key]
    AND CAST([dub_state].[customer_key] AS VARBINARY(MAX)) = CAST([dub_keyed].[customer_key] AS VARBINARY(MAX))
)
UPDATE [analytics].[dub_state] SET [code] = CASE
  WHEN (
    [outcome] IN ('updated', 'unchanged', 'baseline') AND [message] IS NULL
  )
  AND (
    NOT [dub_id] IS NULL OR [outcome] = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, [outcome] = 'pending'
WHERE
  CAST([customer_key] AS VARBINARY(MAX)) IN (
    SELECT
      CAST([customer_key] AS VARBINARY(MAX))
    FROM (
      SELECT
        [customer_key] AS [customer_key]
      FROM [dub_classified]
      WHERE
        [status] IN ('changed', 'retried', 'refreshed')
    ) AS [dub_keys]
  );

-- set pending, the first
WITH [dub_source] AS (
  SELECT
    *
  FROM (
    SELECT
      user_id AS user_id,
      mail AS mail,
      name AS name,
      updated_at AS updated_at
    FROM crm.people
  ) AS [dub_query]
), [dub_keyed] AS (
  SELECT
    [dub_source].[user_id] AS [raw_0],
    [dub_source].[mail] AS [raw_1],
    [dub_source].[name] AS [raw_2],
    CASE
      WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
      THEN NULL
      ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
    END AS [customer_key],
    CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS [email],
    CAST([dub_source].[name] AS NVARCHAR(MAX)) AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    CASE
      WHEN CAST([dub_source].[name] AS NVARCHAR(MAX)) IS NULL
      THEN 'name '
      ELSE ''
    END + '' AS [cleared],
    COUNT(*) OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
    ) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST(CASE
        WHEN TRIM(CAST([dub_source].[user_id] AS NVARCHAR(MAX))) = ''
        THEN NULL
        ELSE CAST([dub_source].[user_id] AS NVARCHAR(MAX))
      END AS VARBINARY(MAX))
      ORDER BY [dub_source].[updated_at] DESC, CAST(CAST([dub_source].[mail] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC, CAST(CAST([dub_source].[name] AS NVARCHAR(MAX)) AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [dub_source]
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      WHEN [dub_state].[customer_key] IS NULL
      THEN 'new'
      WHEN [dub_state].[outcome] = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          CAST([dub_state].[avatar] AS VARBINARY(MAX)) = CAST([dub_keyed].[avatar] AS VARBINARY(MAX))
          OR (
            [dub_state].[avatar] IS NULL AND [dub_keyed].[avatar] IS NULL
          )
        )
        AND (
          CAST([dub_state].[external_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[external_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[external_id] IS NULL AND [dub_keyed].[external_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[stripe_customer_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[stripe_customer_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[stripe_customer_id] IS NULL
            AND [dub_keyed].[stripe_customer_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[country] AS VARBINARY(MAX)) = CAST([dub_keyed].[country] AS VARBINARY(MAX))
          OR (
            [dub_state].[country] IS NULL AND [dub_keyed].[country] IS NULL
          )
        )
        AND (
          CAST([dub_state].[subscription_canceled_at] AS VARBINARY(MAX)) = CAST([dub_keyed].[subscription_canceled_at] AS VARBINARY(MAX))
          OR (
            [dub_state].[subscription_canceled_at] IS NULL
            AND [dub_keyed].[subscription_canceled_at] IS NULL
          )
        )
        AND (
          CAST([dub_state].[cleared] AS VARBINARY(MAX)) = CAST([dub_keyed].[cleared] AS VARBINARY(MAX))
          OR (
            [dub_state].[cleared] IS NULL AND [dub_keyed].[cleared] IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN [dub_state].[outcome] IN ('failed', 'rejected')
      THEN 'refused'
      WHEN [dub_state].[outcome] = 'missing'
      AND [dub_state].[last_tried_at] < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN [dub_state].[outcome] = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS [status],
    CASE
      WHEN (
        (
          [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
          AND [dub_state].[message] IS NULL
        )
        AND (
          NOT [dub_state].[dub_id] IS NULL OR [dub_state].[outcome] = 'baseline'
        )
      )
      OR (
        [dub_state].[outcome] = 'pending' AND [dub_state].[code] = 'token'
      )
      THEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' email ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' email ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END + CASE
        WHEN (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' name ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' name ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END + ''
      ELSE ''
    END AS [same_fields],
    [dub_state].[first_applied_at] AS [first_applied_at],
    [dub_state].[last_applied_at] AS [last_applied_at],
    [dub_state].[dub_id] AS [dub_id],
    [dub_state].[outcome] AS [outcome],
    [dub_state].[code] AS [code],
    [dub_state].[message] AS [message],
    [dub_state].[run] AS [run]
  FROM [dub_keyed]
  LEFT JOIN [analytics].[dub_state] AS [dub_state]
    ON [dub_state].[customer_key] = [dub_keyed].[customer_key]
    AND CAST([dub_state].[customer_key] AS VARBINARY(MAX)) = CAST([dub_keyed].[customer_key] AS VARBINARY(MAX))
)
UPDATE [analytics].[dub_state] SET [code] = CASE
  WHEN (
    [outcome] IN ('updated', 'unchanged', 'baseline') AND [message] IS NULL
  )
  AND (
    NOT [dub_id] IS NULL OR [outcome] = 'baseline'
  )
  THEN 'token'
  ELSE NULL
END, [outcome] = 'pending'
WHERE
  CAST([customer_key] AS VARBINARY(MAX)) IN (
    SELECT
      CAST([customer_key] AS VARBINARY(MAX))
    FROM (
      SELECT
        [customer_key] AS [customer_key]
      FROM (
        SELECT
        TOP 10
          [customer_key] AS [customer_key],
          [status] AS [status]
        FROM [dub_classified]
        WHERE
          [status] IN ('new', 'changed', 'pending', 'retried', 'refreshed')
        ORDER BY
          CASE WHEN CAST([customer_key] AS VARBINARY(MAX)) IS NULL THEN 1 ELSE 0 END,
          CAST([customer_key] AS VARBINARY(MAX))
      ) AS [dub_first]
      WHERE
        [status] IN ('changed', 'retried', 'refreshed')
    ) AS [dub_keys]
  );

-- append
INSERT INTO [analytics].[dub_state_history] (
  [customer_key],
  [email],
  [name],
  [avatar],
  [external_id],
  [stripe_customer_id],
  [country],
  [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [dub_id],
  [first_applied_at],
  [last_applied_at],
  [last_tried_at],
  [run],
  [attempt]
)
SELECT
  dub_0,
  dub_1,
  dub_2,
  dub_3,
  dub_4,
  dub_5,
  dub_6,
  dub_7,
  dub_8,
  dub_9,
  dub_10,
  dub_11,
  dub_12,
  dub_13,
  dub_14,
  dub_15,
  dub_16,
  dub_17
FROM OPENJSON(:p) WITH (
    dub_0 NVARCHAR(MAX) '$[0]',
    dub_1 NVARCHAR(MAX) '$[1]',
    dub_2 NVARCHAR(MAX) '$[2]',
    dub_3 NVARCHAR(MAX) '$[3]',
    dub_4 NVARCHAR(MAX) '$[4]',
    dub_5 NVARCHAR(MAX) '$[5]',
    dub_6 NVARCHAR(MAX) '$[6]',
    dub_7 NVARCHAR(MAX) '$[7]',
    dub_8 NVARCHAR(MAX) '$[8]',
    dub_9 NVARCHAR(MAX) '$[9]',
    dub_10 NVARCHAR(MAX) '$[10]',
    dub_11 NVARCHAR(MAX) '$[11]',
    dub_12 NVARCHAR(MAX) '$[12]',
    dub_13 NVARCHAR(MAX) '$[13]',
    dub_14 NVARCHAR(MAX) '$[14]',
    dub_15 NVARCHAR(MAX) '$[15]',
    dub_16 NVARCHAR(MAX) '$[16]',
    dub_17 NVARCHAR(MAX) '$[17]'
);

-- merge 0
DELETE FROM [analytics].[dub_state]
WHERE
  CAST([customer_key] AS VARBINARY(MAX)) IN (
    SELECT
      CAST([customer_key] AS VARBINARY(MAX))
    FROM (
      SELECT
        [customer_key] AS [customer_key]
      FROM [analytics].[dub_state_history]
      WHERE
        [attempt] = :p
    ) AS [dub_keys]
  );

-- merge 1
INSERT INTO [analytics].[dub_state] (
  [customer_key],
  [email],
  [name],
  [avatar],
  [external_id],
  [stripe_customer_id],
  [country],
  [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [dub_id],
  [first_applied_at],
  [last_applied_at],
  [last_tried_at],
  [run]
)
SELECT
  [customer_key],
  [email],
  [name],
  [avatar],
  [external_id],
  [stripe_customer_id],
  [country],
  [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [dub_id],
  [first_applied_at],
  [last_applied_at],
  [last_tried_at],
  [run]
FROM (
  SELECT
    [customer_key] AS [customer_key],
    [email] AS [email],
    [name] AS [name],
    [avatar] AS [avatar],
    [external_id] AS [external_id],
    [stripe_customer_id] AS [stripe_customer_id],
    [country] AS [country],
    [subscription_canceled_at] AS [subscription_canceled_at],
    [cleared] AS [cleared],
    [outcome] AS [outcome],
    [code] AS [code],
    [message] AS [message],
    [dub_id] AS [dub_id],
    [first_applied_at] AS [first_applied_at],
    [last_applied_at] AS [last_applied_at],
    [last_tried_at] AS [last_tried_at],
    [run] AS [run],
    ROW_NUMBER() OVER (PARTITION BY CAST([customer_key] AS VARBINARY(MAX)) ORDER BY [last_tried_at] DESC) AS [place]
  FROM [analytics].[dub_state_history]
  WHERE
    [attempt] = :p
) AS [dub_lines]
WHERE
  [place] = 1;

-- set merged
UPDATE [analytics].[dub_state_lease] SET [previous] = NULL
WHERE
  [attempt] = :p;

-- end lease
UPDATE [analytics].[dub_state_lease] SET [task] = NULL, [attempt] = NULL
WHERE
  [attempt] = :p;

-- read check lines
SELECT
  [customer_key],
  [email],
  [name],
  [avatar],
  [external_id],
  [stripe_customer_id],
  [country],
  [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [dub_id],
  [run],
  (
    SELECT
      CAST(MIN([last_tried_at]) AS NVARCHAR(MAX))
    FROM [analytics].[dub_state_history]
    WHERE
      [attempt] <> :p
  ) AS [oldest]
FROM [analytics].[dub_state]
WHERE
  [customer_key] IN (:p, :p);

-- repeated keys
SELECT
  COUNT(*) AS [repeated]
FROM (
  SELECT
    CAST([customer_key] AS VARBINARY(MAX)) AS [dub_key]
  FROM [analytics].[dub_state]
  GROUP BY
    CAST([customer_key] AS VARBINARY(MAX))
  HAVING
    COUNT(*) > 1
) AS [dub_repeated];

-- find check lines
SELECT
  [customer_key]
FROM [analytics].[dub_state]
WHERE
  [customer_key] IN (:p, :p);

-- set none pending
UPDATE [analytics].[dub_state] SET [code] = NULL, [outcome] = 'pending'
WHERE
  1 = 0;

-- delete attempt
DELETE FROM [analytics].[dub_state_history]
WHERE
  [attempt] = :p;

-- prune
DELETE FROM [analytics].[dub_state_history]
WHERE
  [last_tried_at] < '2026-01-01 00:00:00.000000';

-- create staging 0
IF NOT EXISTS(
  SELECT
    *
  FROM INFORMATION_SCHEMA.TABLES
  WHERE
    TABLE_NAME = 'dub_state_staging' AND TABLE_SCHEMA = 'analytics'
) AS EXEC BEGIN (
  'CREATE TABLE [analytics].[dub_state_staging] ([position] BIGINT, [customer_key] NVARCHAR(MAX), [email] NVARCHAR(MAX), [name] NVARCHAR(MAX), [avatar] NVARCHAR(MAX), [external_id] NVARCHAR(MAX), [stripe_customer_id] NVARCHAR(MAX), [country] NVARCHAR(MAX), [subscription_canceled_at] NVARCHAR(MAX), [cleared] NVARCHAR(MAX), [latest] NVARCHAR(MAX), [attempt] NVARCHAR(255))'
);

-- probe staging
SELECT
  *
FROM [analytics].[dub_state_staging]
WHERE
  1 = 0;

-- drop staging
DROP TABLE [analytics].[dub_state_staging];

-- delete staged
DELETE FROM [analytics].[dub_state_staging]
WHERE
  [attempt] = :p;

-- delete staged by others
DELETE FROM [analytics].[dub_state_staging]
WHERE
  [attempt] <> :p;

-- counts of staged rows
WITH [dub_keyed] AS (
  SELECT
    [dub_staged].[position] AS [position],
    [dub_staged].[customer_key] AS [customer_key],
    [dub_staged].[email] AS [email],
    [dub_staged].[name] AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    [dub_staged].[cleared] AS [cleared],
    COUNT(*) OVER (PARTITION BY CAST([dub_staged].[customer_key] AS VARBINARY(MAX))) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST([dub_staged].[customer_key] AS VARBINARY(MAX))
      ORDER BY CAST([dub_staged].[latest] AS VARBINARY(MAX)) DESC, CAST([dub_staged].[email] AS VARBINARY(MAX)) DESC, CAST([dub_staged].[name] AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [analytics].[dub_state_staging] AS [dub_staged]
  WHERE
    [dub_staged].[attempt] = 'token'
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      WHEN [dub_state].[customer_key] IS NULL
      THEN 'new'
      WHEN [dub_state].[outcome] = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          CAST([dub_state].[avatar] AS VARBINARY(MAX)) = CAST([dub_keyed].[avatar] AS VARBINARY(MAX))
          OR (
            [dub_state].[avatar] IS NULL AND [dub_keyed].[avatar] IS NULL
          )
        )
        AND (
          CAST([dub_state].[external_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[external_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[external_id] IS NULL AND [dub_keyed].[external_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[stripe_customer_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[stripe_customer_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[stripe_customer_id] IS NULL
            AND [dub_keyed].[stripe_customer_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[country] AS VARBINARY(MAX)) = CAST([dub_keyed].[country] AS VARBINARY(MAX))
          OR (
            [dub_state].[country] IS NULL AND [dub_keyed].[country] IS NULL
          )
        )
        AND (
          CAST([dub_state].[subscription_canceled_at] AS VARBINARY(MAX)) = CAST([dub_keyed].[subscription_canceled_at] AS VARBINARY(MAX))
          OR (
            [dub_state].[subscription_canceled_at] IS NULL
            AND [dub_keyed].[subscription_canceled_at] IS NULL
          )
        )
        AND (
          CAST([dub_state].[cleared] AS VARBINARY(MAX)) = CAST([dub_keyed].[cleared] AS VARBINARY(MAX))
          OR (
            [dub_state].[cleared] IS NULL AND [dub_keyed].[cleared] IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN [dub_state].[outcome] IN ('failed', 'rejected')
      THEN 'refused'
      WHEN [dub_state].[outcome] = 'missing'
      AND [dub_state].[last_tried_at] < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN [dub_state].[outcome] = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS [status],
    CASE
      WHEN (
        (
          [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
          AND [dub_state].[message] IS NULL
        )
        AND (
          NOT [dub_state].[dub_id] IS NULL OR [dub_state].[outcome] = 'baseline'
        )
      )
      OR (
        [dub_state].[outcome] = 'pending' AND [dub_state].[code] = 'token'
      )
      THEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' email ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' email ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END + CASE
        WHEN (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' name ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' name ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END + ''
      ELSE ''
    END AS [same_fields],
    [dub_state].[first_applied_at] AS [first_applied_at],
    [dub_state].[last_applied_at] AS [last_applied_at],
    [dub_state].[dub_id] AS [dub_id],
    [dub_state].[outcome] AS [outcome],
    [dub_state].[code] AS [code],
    [dub_state].[message] AS [message],
    [dub_state].[run] AS [run]
  FROM [dub_keyed]
  LEFT JOIN [analytics].[dub_state] AS [dub_state]
    ON [dub_state].[customer_key] = [dub_keyed].[customer_key]
    AND CAST([dub_state].[customer_key] AS VARBINARY(MAX)) = CAST([dub_keyed].[customer_key] AS VARBINARY(MAX))
)
SELECT
  [status],
  COUNT(*) AS [rows_of_it],
  COUNT([dub_id]) AS [with_dub_id],
  0 AS [surplus]
FROM [dub_classified]
GROUP BY
  [status];

-- rows of staged rows
WITH [dub_keyed] AS (
  SELECT
    [dub_staged].[position] AS [position],
    [dub_staged].[customer_key] AS [customer_key],
    [dub_staged].[email] AS [email],
    [dub_staged].[name] AS [name],
    CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
    CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
    CAST(NULL AS NVARCHAR(MAX)) AS [country],
    CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
    [dub_staged].[cleared] AS [cleared],
    COUNT(*) OVER (PARTITION BY CAST([dub_staged].[customer_key] AS VARBINARY(MAX))) AS [copies],
    ROW_NUMBER() OVER (
      PARTITION BY CAST([dub_staged].[customer_key] AS VARBINARY(MAX))
      ORDER BY CAST([dub_staged].[latest] AS VARBINARY(MAX)) DESC, CAST([dub_staged].[email] AS VARBINARY(MAX)) DESC, CAST([dub_staged].[name] AS VARBINARY(MAX)) DESC
    ) AS [place]
  FROM [analytics].[dub_state_staging] AS [dub_staged]
  WHERE
    [dub_staged].[attempt] = 'token'
), [dub_classified] AS (
  SELECT
    [dub_keyed].*,
    CASE
      WHEN [dub_keyed].[customer_key] IS NULL
      THEN 'no_key'
      WHEN [dub_keyed].[place] > 1
      THEN 'superseded'
      WHEN [dub_state].[customer_key] IS NULL
      THEN 'new'
      WHEN [dub_state].[outcome] = 'pending'
      THEN 'pending'
      WHEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          CAST([dub_state].[avatar] AS VARBINARY(MAX)) = CAST([dub_keyed].[avatar] AS VARBINARY(MAX))
          OR (
            [dub_state].[avatar] IS NULL AND [dub_keyed].[avatar] IS NULL
          )
        )
        AND (
          CAST([dub_state].[external_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[external_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[external_id] IS NULL AND [dub_keyed].[external_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[stripe_customer_id] AS VARBINARY(MAX)) = CAST([dub_keyed].[stripe_customer_id] AS VARBINARY(MAX))
          OR (
            [dub_state].[stripe_customer_id] IS NULL
            AND [dub_keyed].[stripe_customer_id] IS NULL
          )
        )
        AND (
          CAST([dub_state].[country] AS VARBINARY(MAX)) = CAST([dub_keyed].[country] AS VARBINARY(MAX))
          OR (
            [dub_state].[country] IS NULL AND [dub_keyed].[country] IS NULL
          )
        )
        AND (
          CAST([dub_state].[subscription_canceled_at] AS VARBINARY(MAX)) = CAST([dub_keyed].[subscription_canceled_at] AS VARBINARY(MAX))
          OR (
            [dub_state].[subscription_canceled_at] IS NULL
            AND [dub_keyed].[subscription_canceled_at] IS NULL
          )
        )
        AND (
          CAST([dub_state].[cleared] AS VARBINARY(MAX)) = CAST([dub_keyed].[cleared] AS VARBINARY(MAX))
          OR (
            [dub_state].[cleared] IS NULL AND [dub_keyed].[cleared] IS NULL
          )
        )
        THEN 1
        ELSE 0
      END = 0
      THEN 'changed'
      WHEN [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
      THEN 'unchanged'
      WHEN [dub_state].[outcome] IN ('failed', 'rejected')
      THEN 'refused'
      WHEN [dub_state].[outcome] = 'missing'
      AND [dub_state].[last_tried_at] < '2026-01-01 00:00:00.000000'
      THEN 'retried'
      WHEN [dub_state].[outcome] = 'missing'
      THEN 'missing'
      ELSE 'pending'
    END AS [status],
    CASE
      WHEN (
        (
          [dub_state].[outcome] IN ('updated', 'unchanged', 'baseline')
          AND [dub_state].[message] IS NULL
        )
        AND (
          NOT [dub_state].[dub_id] IS NULL OR [dub_state].[outcome] = 'baseline'
        )
      )
      OR (
        [dub_state].[outcome] = 'pending' AND [dub_state].[code] = 'token'
      )
      THEN CASE
        WHEN (
          CAST([dub_state].[email] AS VARBINARY(MAX)) = CAST([dub_keyed].[email] AS VARBINARY(MAX))
          OR (
            [dub_state].[email] IS NULL AND [dub_keyed].[email] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' email ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' email ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'email '
        ELSE ''
      END + CASE
        WHEN (
          CAST([dub_state].[name] AS VARBINARY(MAX)) = CAST([dub_keyed].[name] AS VARBINARY(MAX))
          OR (
            [dub_state].[name] IS NULL AND [dub_keyed].[name] IS NULL
          )
        )
        AND (
          [dub_state].[cleared] = [dub_keyed].[cleared]
          OR CASE WHEN CHARINDEX(' name ', ' ' + [dub_state].[cleared]) > 0 THEN 1 ELSE 0 END = CASE WHEN CHARINDEX(' name ', ' ' + [dub_keyed].[cleared]) > 0 THEN 1 ELSE 0 END
        )
        THEN 'name '
        ELSE ''
      END + ''
      ELSE ''
    END AS [same_fields],
    [dub_state].[first_applied_at] AS [first_applied_at],
    [dub_state].[last_applied_at] AS [last_applied_at],
    [dub_state].[dub_id] AS [dub_id],
    [dub_state].[outcome] AS [outcome],
    [dub_state].[code] AS [code],
    [dub_state].[message] AS [message],
    [dub_state].[run] AS [run]
  FROM [dub_keyed]
  LEFT JOIN [analytics].[dub_state] AS [dub_state]
    ON [dub_state].[customer_key] = [dub_keyed].[customer_key]
    AND CAST([dub_state].[customer_key] AS VARBINARY(MAX)) = CAST([dub_keyed].[customer_key] AS VARBINARY(MAX))
)
SELECT
  [position] AS [cell_0],
  [status],
  [copies],
  CAST([first_applied_at] AS NVARCHAR(MAX)) AS [first_applied_at],
  CAST([last_applied_at] AS NVARCHAR(MAX)) AS [last_applied_at],
  [dub_id],
  [same_fields],
  [customer_key],
  [email],
  [name],
  CAST(NULL AS NVARCHAR(MAX)) AS [avatar],
  CAST(NULL AS NVARCHAR(MAX)) AS [external_id],
  CAST(NULL AS NVARCHAR(MAX)) AS [stripe_customer_id],
  CAST(NULL AS NVARCHAR(MAX)) AS [country],
  CAST(NULL AS NVARCHAR(MAX)) AS [subscription_canceled_at],
  [cleared],
  [outcome],
  [code],
  [message],
  [run]
FROM [dub_classified]
WHERE
  [status] IN ('new', 'changed', 'pending', 'retried', 'refreshed', 'no_key', 'duplicate')
ORDER BY
  [position];

-- read state
SELECT
  [customer_key],
  CAST([last_tried_at] AS NVARCHAR(MAX)) AS [last_tried_at]
FROM [analytics].[dub_state];

-- create history 0
IF NOT EXISTS(
  SELECT
    *
  FROM INFORMATION_SCHEMA.TABLES
  WHERE
    TABLE_NAME = 'dub_state_history' AND TABLE_SCHEMA = 'analytics'
) AS EXEC BEGIN (
  'CREATE TABLE [analytics].[dub_state_history] ([customer_key] NVARCHAR(255), [email] NVARCHAR(MAX), [name] NVARCHAR(MAX), [avatar] NVARCHAR(MAX), [external_id] NVARCHAR(MAX), [stripe_customer_id] NVARCHAR(MAX), [country] NVARCHAR(MAX), [subscription_canceled_at] NVARCHAR(MAX), [cleared] NVARCHAR(MAX), [outcome] NVARCHAR(255), [code] NVARCHAR(MAX), [message] NVARCHAR(MAX), [dub_id] NVARCHAR(MAX), [first_applied_at] DATETIME2, [last_applied_at] DATETIME2, [last_tried_at] DATETIME2, [run] NVARCHAR(MAX), [attempt] NVARCHAR(255))'
);

-- create history 1
CREATE INDEX [dub_state_history_by_attempt] ON [analytics].[dub_state_history]([attempt]);

