"""What the gateway stands on: schema, deployment, and the stack on one machine."""
