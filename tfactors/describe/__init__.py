"""What a factor is: its level, label, neighbours, vocabulary, place on the map, senses."""
