"""What strangers may send, on the whole real stack: none of it may change what others get."""
