module own_server

go 1.22
