"""What is written from the code: one OpenAPI file of all functions, and the tables of docs/."""
