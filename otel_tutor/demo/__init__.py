"""The demo tutor: a small real tutoring service that everything in this product is shown on."""
