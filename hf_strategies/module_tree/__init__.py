"""What a model is made of, read off its modules: blocks, embeddings, heads, and the names of its parts."""
