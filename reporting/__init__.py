"""What people look at and read: words, tables, figures, reports. No streamlit, no sqlalchemy, no torch."""
