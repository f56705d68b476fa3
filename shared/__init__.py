"""The core that every function imports: five layers, a layer imports only what stands below it."""
