"""Parameters that Stripe takes and that the double refuses, since they would change what happens."""

SESSION = frozenset(
    {
        "discounts",
        "shipping_options",
        "optional_items",
        "subscription_data[trial_period_days]",
        "subscription_data[trial_end]",
        "subscription_data[default_tax_rates]",
        "subscription_data[billing_cycle_anchor]",
        "payment_intent_data[capture_method]",
        "payment_intent_data[transfer_data]",
        "payment_intent_data[application_fee_amount]",
        "subscription_data[application_fee_percent]",
        "customer_account",
        "subscription_data[transfer_data]",
        "setup_intent_data",
        "after_expiration",
    }
)
INTENT = frozenset(
    {
        "capture_method",
        "transfer_data",
        "application_fee_amount",
        "confirmation_token",
        "payment_method_data",
        "on_behalf_of",
        "customer_account",
    }
)
SUBSCRIPTION_UPDATE = frozenset(
    {
        "add_invoice_items",
        "default_tax_rates",
        "billing_thresholds",
        "discounts",
        "trial_end",
        "trial_from_plan",
        "pause_collection",
        "transfer_data",
        "billing_schedules",
        "pending_invoice_item_interval",
        "application_fee_percent",
        "days_until_due",
        "collection_method",
        "on_behalf_of",
    }
)
PREVIEW = frozenset(
    {"schedule", "schedule_details", "discounts", "invoice_items", "customer_details", "automatic_tax", "preview_mode"}
)
PRICE = frozenset(
    {
        "tiers",
        "tiers_mode",
        "currency_options",
        "custom_unit_amount",
        "transform_quantity",
        "recurring[meter]",
        "recurring[trial_period_days]",
    }
)
