UPDATE folders SET parent_id = id WHERE parent_id IS NULL;
