"""The rules, by subject: each is a function from a machine and the plan to the problems that it finds."""
