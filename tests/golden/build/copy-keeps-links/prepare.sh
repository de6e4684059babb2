ln -s a d/relative
ln -s /etc/passwd d/absolute
ln -s ../../../nowhere d/dangling
ln -s links d/directory
ln -s ../a d/links/up
