"""Steps of the Markov chain backwards: ancestral sampling, DDIM, and DDIM upwards."""
