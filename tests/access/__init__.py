"""Who may do what, tried from outside on every route, every table and every function that there is."""
