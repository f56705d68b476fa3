"""What the tests start and make: the stack, gateways, tenants, models, and wires that count and break."""
