ln -s real link
ln -s d directory
ln -s /real absolute
