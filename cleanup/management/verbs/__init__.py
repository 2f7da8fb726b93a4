"""The actions of ``database_cleanup``, each a function; only the module of the one that was asked for is imported."""
