"""Container images: layers, layouts, registries and engines; reads and writes, decides nothing."""
