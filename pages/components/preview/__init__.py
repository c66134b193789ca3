"""The live preview of class terms."""
