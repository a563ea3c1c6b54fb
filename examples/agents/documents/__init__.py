"""Pure document work shared by the sample agents: reading, sentences, key terms, ranking, digest pages; no AWS."""
