"""Telephony engines: one package each. An engine carries out orders and reports what happens to calls and bridges."""
