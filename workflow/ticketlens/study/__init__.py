"""What a config says and makes: studies, arms, costs, the catalogue of tables and figures."""
