"""The engine room: what serves requests, keeps data and watches, without any rule of a shop in it."""
