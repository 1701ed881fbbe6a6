"""C2PA content credentials: keys, manifests, signing, reading, soft bindings."""
