"""The networks of the table and the last layers that methods may use. The only part of models that imports torch."""
