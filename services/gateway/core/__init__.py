"""Pure: what the broker's words mean, which facts are new, which order ids and quotes come next."""
