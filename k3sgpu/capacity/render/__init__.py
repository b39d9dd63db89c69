"""The fit as text and as a drawing."""
