tar -cf a.tar a
