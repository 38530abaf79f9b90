"""PostgreSQL: the truth. Tables, migrations, and the one way to commit an effect with its cause."""
