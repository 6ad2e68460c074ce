from twisted.application.service import ServiceMaker

# Names alone: each run of twistd imports this file.
upper = ServiceMaker("upper", "upper", "Sends back what it receives in capital letters.", "upper")
