"""The kernel behind matrix products and convolutions, and what it packs and adds up."""
