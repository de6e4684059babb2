tar -cf d/kept.tar a
