package chaos

func outageRows() []row  { return nil }
func networkRows() []row { return nil }
func crowdRows() []row   { return nil }
