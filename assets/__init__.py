"""What is made, in the order it flows: benchmarks, descriptions, embeddings, retrieval, reports."""
