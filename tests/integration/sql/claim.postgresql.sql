SELECT r.id, r.application_key, r.point_id, r.attempts
  FROM cleanup_result AS r
 WHERE r.run_id = %(run)s AND r.status = 'pending' AND NOT r.isolated
   AND EXISTS (
     SELECT 1 FROM cleanup_run AS u
      WHERE u.id = %(run)s AND u.status IN ('pending', 'running') AND NOT EXISTS (SELECT 1 FROM cleanup_control WHERE frozen)
   )
 ORDER BY r.application_key ASC
 LIMIT %(size)s
   FOR UPDATE OF r SKIP LOCKED;

UPDATE "cleanup_result"
SET "status" = %s,
    "lease_token" = %s,
    "lease_expires_at" = (STATEMENT_TIMESTAMP() + %s),
    "attempts" = ("cleanup_result"."attempts" + %s),
    "worker" = %s,
    "started_at" = STATEMENT_TIMESTAMP()
WHERE "cleanup_result"."id" IN (%s);
