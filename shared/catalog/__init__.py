"""Models, offers and prices."""
