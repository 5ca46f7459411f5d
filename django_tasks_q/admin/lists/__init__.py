"""What the lists have: filters, pages, search, and the bars above them."""
