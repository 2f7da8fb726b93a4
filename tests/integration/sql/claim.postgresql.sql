SELECT "cleanup_result"."id" AS "pk",
       "cleanup_result"."application_key" AS "application_key",
       "cleanup_result"."point_id" AS "point_id",
       "cleanup_result"."attempts" AS "attempts"
FROM "cleanup_result"
WHERE ("cleanup_result"."run_id" = %s
       AND "cleanup_result"."status" = %s
       AND NOT "cleanup_result"."isolated")
ORDER BY 2 ASC
LIMIT 20
FOR
UPDATE OF "cleanup_result" SKIP LOCKED;

UPDATE "cleanup_result"
SET "status" = %s,
    "lease_token" = %s,
    "lease_expires_at" = (STATEMENT_TIMESTAMP() + %s),
    "attempts" = ("cleanup_result"."attempts" + %s),
    "worker" = %s,
    "started_at" = STATEMENT_TIMESTAMP()
WHERE "cleanup_result"."id" IN (%s);
