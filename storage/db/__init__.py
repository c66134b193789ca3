"""Schema, migrations, connections and their errors."""
