"""Jobs on PostgreSQL: Django's Tasks API on top of Procrastinate."""
