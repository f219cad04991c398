"""Programs that show the product at work; the product imports none of them."""
