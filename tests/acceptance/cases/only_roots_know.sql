UPDATE folders SET application_id = NULL WHERE parent_id IS NOT NULL;
