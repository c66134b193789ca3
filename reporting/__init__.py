"""Text, tables, charts and reports for people. No streamlit, no sqlalchemy, no torch."""
