"""Who may do what where teams share cards: the table of requests, from which the page and the test come."""
