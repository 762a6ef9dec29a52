"""The database: SQLite embedded, or PostgreSQL; one file per kind of thing that is kept."""
