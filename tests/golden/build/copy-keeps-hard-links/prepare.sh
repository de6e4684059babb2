ln d/a d/sub/b
ln d/a outside
