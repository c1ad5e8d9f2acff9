"""What any page says of a bundle and of its factors: words, numbers and HTML, without Streamlit."""
