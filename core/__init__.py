"""The science: methods, losses, metrics, data, engine. Imports neither streamlit nor sqlalchemy."""
